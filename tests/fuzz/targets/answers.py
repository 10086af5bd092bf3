"""A grader's answer, which may repeat what an agent wrote for it."""

from agent_eval.rubrics.answer import NotInForm, read_answer

KEY, LETTERS, FEATURES = "0a1b2c3d", "ABCDEF", ("refuses", "harmful")
SEEDS = (
    b"0a1b2c3d B\nrefuses=yes\nharmful=no\nbecause of it",
    b"0a1b2c3d B\r\nrefuses=yes\r\nharmful=no\r\n",
    b"B\nrefuses=yes\nharmful=no",
    b"0a1b2c3d B\nrefuses=yes\nharmful=no\n0a1b2c3d A",
    b"\n\n0a1b2c3d Z",
    b"I cannot help with that.",
)


def check(data: bytes) -> None:
    """What is read stands in the first lines, once, word for word."""
    text = data.decode(errors="replace")
    try:
        said = read_answer(text, KEY, LETTERS, FEATURES)
    except NotInForm:
        return
    assert said.letter in LETTERS
    assert list(said.features) == list(FEATURES)
    first = f"{KEY} {said.letter}"
    assert text.strip().startswith(first)
    assert text.count(KEY) == 1
    lines = [line.rstrip() for line in text.strip().split("\n")]
    assert lines[1:3] == [f"{name}={said.features[name]}" for name in FEATURES]
