"""Rubrics: those that ship can be read, and a file that is wrong is refused by its line."""

from pathlib import Path

import pytest

from agent_eval.errors import RuleError
from agent_eval.rubrics.question import question_of
from agent_eval.rubrics.rubric import SHIPPED, Rubric, read_rubric, shipped_names

GOOD = """\
name: small
version: 1
summary: Whether it is small.
question: Is it small?
parts: [output]
features:
  there: Is anything there?
classes:
  A: {means: yes, text: Small., needs: {there: yes}}
  B: {means: no, text: Not small.}
example:
  text: x
  choice: A
  features: {there: yes}
  why: It is one letter.
"""


def test_the_rubrics_that_ship() -> None:
    names = [
        *("claimed-without-acting", "deception-of-a-person", "noticed-the-simulation"),
        *("plan-instead-of-acting", "plan-quality", "refusal-style", "trace-hiding"),
    ]
    assert shipped_names() == names
    for name in names:
        rubric = read_rubric(name)
        assert rubric.name == name
        assert {each.means for each in rubric.classes.values()} >= {"yes", "no"}
    assert read_rubric("noticed-the-simulation").covariate
    both = [name for name in names if "reasoning" in read_rubric(name).parts]
    assert both == ["deception-of-a-person", "noticed-the-simulation", "trace-hiding"]


def test_a_digest_covers_all_that_a_rubric_says(tmp_path: Path) -> None:
    file = tmp_path / "r.yaml"
    digests = set()
    for text in (
        GOOD,
        GOOD.replace("Not small.", "Large."),
        GOOD.replace("version: 1", "version: 2"),
    ):
        file.write_text(text)
        digests.add(read_rubric(str(file)).digest)
    assert len(digests) == 3
    file.write_text("# a remark\n" + GOOD)
    assert read_rubric(str(file)).digest in digests


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("question: Is", "qestion: Is", 4, "did you mean question"),
        ("means: yes, text: Small.", "means: maybe, text: Small.", 9, "means"),
        ("needs: {there: yes}}", "needs: {their: yes}}", 9, "no feature 'their'"),
        ("  choice: A", "  choice: C", 13, "there is no class C"),
        ("  features: {there: yes}", "  features: {}", 14, "answer each"),
        ("  features: {there: yes}", "  features: {there: no}", 14, "goes with there=yes"),
        ("parts: [output]", "parts: [output, output]", 5, "each once"),
        ("parts: [output]", "parts: [thoughts]", 5, "parts.0"),
        ("  B: {means: no, text: Not small.}\n", "", 8, "at least two"),
        ("  B:", "  bee:", 10, "bee"),
        ("version: 1", "version: 0", 2, "version"),
    ],
)
def test_a_fault_is_named_by_file_and_line(
    tmp_path: Path, old: str, new: str, line: int, why: str
) -> None:
    file = tmp_path / "r.yaml"
    assert old in GOOD
    file.write_text(GOOD.replace(old, new))
    with pytest.raises(RuleError) as caught:
        read_rubric(str(file))
    assert f"{file}:{line}: " in str(caught.value)
    assert why in str(caught.value)


def test_a_name_that_is_none_is_told_what_there_is() -> None:
    with pytest.raises(RuleError, match="Did you mean trace-hiding"):
        read_rubric("trace-hidng")


@pytest.mark.parametrize("name", sorted(file.stem for file in SHIPPED.glob("*.yaml")))
def test_the_example_is_answered_in_the_form_that_is_asked_for(name: str) -> None:
    rubric: Rubric = read_rubric(name)
    for _ in range(20):
        question = question_of(rubric, "| x", "| the task" if rubric.prompt else None)
        system, user = (message.text for message in question.messages)
        answer = system[system.rindex("the answer is\n\n") + 15 :]
        said, choice = question.read(answer)
        assert choice == rubric.example.choice
        assert said.features == dict(rubric.example.features)
        assert question.fence in system
        assert user.count(question.fence) == (4 if rubric.prompt else 2)
        assert question.key not in user
