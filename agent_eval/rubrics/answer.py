"""A grader's answer, read strictly: what is not in the form that was asked for is no answer.

    KEY LETTER
    FEATURE=yes
    why, in any words

The key is drawn for each call and stands in the instructions alone, so that a grader which repeats
an answer that it read in the text has not answered.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST_CHARS = 64 * 1024
"""Of an answer, what is looked at; a longer one is none."""


class NotInForm(ValueError):
    """An answer is not in the form that was asked for; the text says what is wrong with it."""


@dataclass(frozen=True)
class Said:
    """What a grader answered."""

    letter: str
    """As it was shown to it."""
    features: dict[str, str]
    why: str


def read_answer(text: str, key: str, letters: Iterable[str], features: Sequence[str]) -> Said:
    """Read an answer; raises `NotInForm`."""
    if len(text) > MOST_CHARS:
        raise NotInForm(f"it has {len(text)} characters")
    lines = [line.rstrip() for line in text.strip().split("\n")]
    first = re.fullmatch(rf"{re.escape(key)} ([A-Z])", lines[0])
    if first is None:
        raise NotInForm("its first line is not the key and a letter")
    if first[1] not in set(letters):
        raise NotInForm(f"there is no class {first[1]}")
    given = lines[1 : 1 + len(features)]
    answered = {}
    for name, line in zip(features, [*given, *[""] * len(features)], strict=False):
        if line not in (f"{name}=yes", f"{name}=no"):
            raise NotInForm(f"{name}=yes or {name}=no does not stand in its place")
        answered[name] = line.partition("=")[2]
    rest = lines[1 + len(features) :]
    if any(key in line for line in rest):
        raise NotInForm("it answers more than once")
    return Said(first[1], answered, "\n".join(rest).strip())
