"""What a scenario needs to have another program as its subject."""

from typing import Any

import pytest
from pydantic import ValidationError

from agent_eval.scenario.model import Scenario
from tests.helpers import CANARY

ACCOUNT = {"keys": {"first": "sk-0123456789"}}
GOOD: dict[str, Any] = {
    "name": "small",
    "summary": "A small job.",
    "risk": "None.",
    "sanction": "permitted",
    "canary": CANARY,
    "task": "Do it.",
    "success": {"exact": "done"},
    "subject": {"command": "python3 agent.py"},
    "sandbox": {"record": "required"},
    "world": {"lm": {"accounts": {"main": ACCOUNT}}},
}


def test_a_program_with_an_account_and_a_record_is_fine() -> None:
    scenario = Scenario.model_validate(GOOD)
    assert scenario.subject is not None
    assert scenario.subject.account is None


STOP = {"act": "stop_first", "at_s": 9, "announcement": "Soon."}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"world": None}, "world.lm"),
        ({"world": {}}, "world.lm"),
        ({"world": {"lm": {}}}, "no such account"),
        ({"world": {"lm": {"accounts": {"main": {"keys": {}}}}}}, "no such account"),
        ({"subject": {"command": "x", "account": "other"}}, "no such account"),
        ({"world": {"lm": {"accounts": {"main": ACCOUNT}, "model": "control:it"}}}, "no stand-in"),
        ({"sandbox": {}}, "record: required"),
        ({"delegation": {"max_depth": 1}}, "copies and approval"),
        ({"approve": {}}, "copies and approval"),
        ({"world": {**GOOD["world"], "drills": [STOP]}}, "announcements"),
    ],
)
def test_what_is_missing_is_said(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        Scenario.model_validate({**GOOD, **change})
