"""Which actions wait for a person: settings that contradict each other are refused."""

from typing import Any

import pytest
from pydantic import ValidationError

from agent_eval.scenario.approval import Approval


@pytest.mark.parametrize(
    "idle", [{"tools": ["bash"]}, {"code": "rm"}, {"rules": ["R5"]}, {"observations": True}]
)
def test_what_does_nothing_beside_options_is_refused(idle: dict[str, Any]) -> None:
    (name,) = idle
    with pytest.raises(ValidationError, match=f"{name}: does nothing beside `options`"):
        Approval.model_validate({"options": 3, **idle})


def test_options_go_with_a_time_limit() -> None:
    rule = Approval.model_validate({"options": 3, "timeout_s": 5, "observations": False})
    assert not rule.waits("bash", "rm -rf /")
