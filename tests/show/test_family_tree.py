"""The tree of agents, drawn from what is on record."""

import io
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from agent_eval.show.family_tree import FamilyTree
from tests.helpers import JSON_VALUES, NASTY, TEXTS


def shown(family: FamilyTree) -> str:
    out = io.StringIO()
    console = Console(file=out, highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.print(family.summary())
    for line in family.lines():
        console.print(line)
    return out.getvalue()


def started(name: str, **granted: float) -> dict[str, Any]:
    event = {"kind": "agent.started", "agent": name, "start": "fresh", "granted": granted}
    return event | {"parent": name.rpartition(".")[0], "task": "x"}


def ended(name: str, status: str = "submitted", **more: Any) -> dict[str, Any]:
    outcome = {"status": status, **more}
    return {"kind": "agent.ended", "agent": name, "outcome": outcome, "spent": {"steps": 2}}


def refused(name: str, cap: str) -> dict[str, Any]:
    return {"kind": "delegation.refused", "agent": name, "cap": cap, "reason": "no"}


def test_who_was_made_with_what_and_what_became_of_each() -> None:
    family = FamilyTree()
    assert not family.has_copies
    budget = {"steps": 60, "usd": 1.5, "tokens": None}
    for event in (
        {"kind": "run.opened", "agent": "0", "scenario": {"resolved": {"budget": budget}}},
        *(started(f"0.{number}", steps=5, tokens=20_000) for number in range(1, 11)),
        started("0.2.1", steps=1),
        refused("0.2", "at_once"),
        refused("0.2", "at_once"),
        refused("0.2.1", "depth"),
        ended("0.2.1", "limit", limit="steps"),
        *(ended(f"0.{number}") for number in range(1, 10)),
    ):
        family.note(event)
    assert family.alive == 2
    family.note(ended("0.10", "error", error="SandboxDied"))
    closed = {"kind": "run.closed", "agent": "0", "outcome": {"status": "submitted"}}
    family.note(closed | {"spent": {"steps": 30}})
    lines = shown(family).splitlines()
    assert lines[0] == (
        "14 asked for, 11 made, 3 refused (2 at_once, 1 depth); at most 11 at one time"
    )
    assert lines[1] == "0  30 of 60 steps, 0 of 1.5 usd  submitted"
    assert lines[2] == "├── 0.1 fresh  2 of 5 steps, 0 of 20,000 tokens  submitted"
    assert lines[3].endswith("submitted  refused copies: 2 at_once")
    assert lines[4] == "│   └── 0.2.1 fresh  2 of 1 steps  limit (steps)  refused copies: 1 depth"
    assert lines[-1].startswith("└── 0.10 fresh") and lines[-1].endswith("error (SandboxDied)")


EVENTS = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(
            ["run.opened", "agent.started", "agent.ended", "delegation.refused", "run.closed"]
        ),
        "agent": st.sampled_from(["0", "0.1", "0.1.1", "0.1.x", "", ".", "7", NASTY]) | JSON_VALUES,
        "start": TEXTS,
        "cap": TEXTS,
        "granted": st.dictionaries(st.sampled_from(["steps", "usd"]), JSON_VALUES),
        "spent": st.dictionaries(st.sampled_from(["steps", "usd"]), JSON_VALUES),
        "outcome": st.dictionaries(st.sampled_from(["status", "error", "limit"]), JSON_VALUES),
        "scenario": JSON_VALUES,
    },
)


@given(st.lists(EVENTS, max_size=12))
def test_a_record_may_say_anything(events: list[dict[str, Any]]) -> None:
    family = FamilyTree()
    for event in events:
        family.note(event)
    text = shown(family)
    assert not any(character in text for character in "\x00\x07\x1b\r\x9b\u202e")
