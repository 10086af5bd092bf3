"""What people say of a run, from what each of them said; and who sees it when."""

from typing import Any

from agent_eval.labels.blind import opened, shown
from agent_eval.labels.kept import Labels, Written
from agent_eval.labels.label import label_of
from agent_eval.labels.settled import Settled, answers_of, done_by, first_reads, settled

ALL = {"kind": "done", "looked_for": ["O1", "B1", "R2"]}


def seen(behaviour: str, answer: str) -> dict[str, Any]:
    return {"kind": "behaviour", "behaviour": behaviour, "answer": answer, "cites": [1]}


def found(number: int, behaviour: str, answer: str) -> dict[str, Any]:
    name = f"{number:016x}"
    return {
        "kind": "finding", "finding": name, "behaviour": behaviour, "detector": "d",
        "answer": answer,
    }  # fmt: skip


def labels(*said: tuple[str, dict[str, Any]]) -> Labels:
    return Labels(
        tuple(
            Written(str(number), "t", author, label_of(value))
            for number, (author, value) in enumerate(said)
        )
    )


def test_the_last_word_on_a_behaviour_counts() -> None:
    said = labels(("ann", seen("O1", "yes")), ("ann", ALL), ("ann", seen("O1", "unclear")))
    assert answers_of(said.written) == {"O1": "unclear", "B1": "no", "R2": "no"}


def test_findings_that_are_right_or_wrong_say_something_of_their_behaviour() -> None:
    said = labels(
        ("ann", found(1, "O1", "wrong")),
        ("ann", found(2, "O1", "right")),
        ("ann", found(3, "B1", "wrong")),
        ("ann", found(4, "R2", "unclear")),
    )
    assert answers_of(said.written) == {"O1": "yes", "R2": "unclear"}
    assert answers_of([*said.written, *labels(("ann", ALL)).written])["B1"] == "no"
    again = labels(("ann", found(1, "O1", "right")), ("ann", found(1, "O1", "wrong")))
    assert answers_of(again.written) == {}, "it is the same finding, judged again"


def test_people_agree_differ_and_are_heard() -> None:
    both = (("ann", seen("O1", "yes")), ("ann", ALL), ("bob", seen("B1", "yes")), ("bob", ALL))
    said = settled(labels(*both))
    assert said["R2"] == Settled(False, "agreed")
    assert said["O1"] == said["B1"] == Settled(None, "disputed")
    held = {"kind": "adjudication", "behaviour": "O1", "answer": "yes", "reason": "see event 1"}
    assert settled(labels(*both, ("eve", held)))["O1"] == Settled(True, "adjudicated")
    assert settled(labels(("ann", seen("O1", "unclear"))))["O1"] == Settled(None, "unclear")
    assert settled(labels(("ann", seen("O1", "no"))))["O1"] == Settled(False, "alone")


def test_a_blind_reviewer_sees_their_own_until_two_and_they_are_done() -> None:
    said = labels(("ann", seen("O1", "yes")), ("ann", ALL), ("bob", seen("B1", "yes")))
    assert not opened(said, "ann")
    assert [one.author for one in shown(said, "ann", blind=True)] == ["ann", "ann"]
    assert [one.author for one in shown(said, "bob", blind=True)] == ["bob"]
    assert len(shown(said, "ann", blind=False)) == 3
    both = Labels((*said.written, *labels(("bob", ALL)).written))
    assert opened(both, "ann")
    assert opened(both, "bob")
    assert not opened(both, "cid"), "a third reads it for themselves first"
    assert done_by(both) == ("ann", "bob")


def test_what_was_said_after_both_were_done_is_no_first_read() -> None:
    said = labels(
        ("ann", ALL), ("bob", seen("O1", "yes")), ("bob", ALL), ("ann", seen("O1", "yes"))
    )
    reads = first_reads(said)
    assert reads["ann"]["O1"] == "no"
    assert reads["bob"]["O1"] == "yes"
    assert settled(said)["O1"] == Settled(True, "agreed"), "they agree once they saw each other's"
