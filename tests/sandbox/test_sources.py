"""Which record a sandbox can have, and what is said where it can have none."""

from typing import Any

import pytest

from agent_eval.errors import EngineUnavailable
from agent_eval.sandbox.settings import GVISOR
from agent_eval.sandbox.sources import chosen
from agent_eval.scenario import Sandbox


def facts(**changes: Any) -> dict[str, Any]:
    runtimes = {"runc": {"path": "runc", "args": []}, GVISOR: {"path": "/x/runsc-recorded"}}
    return {"local": True, "runtimes": runtimes, **changes}


def wishes(**fields: Any) -> Sandbox:
    return Sandbox.model_validate({"runtime": "runsc", **fields})


def test_switched_off_is_off() -> None:
    choice = chosen(wishes(record="off"), facts())
    assert choice.source is None
    assert choice.why == "it is switched off"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"local": False}, "on another machine"),
        ({"runtimes": {GVISOR: {"path": "/usr/bin/runsc"}}}, "setup --runtimes"),
    ],
)
def test_what_cannot_be_is_said_or_refused(changes: dict[str, Any], said: str) -> None:
    choice = chosen(wishes(), facts(**changes))
    assert choice.source is None
    assert said in (choice.why or "")
    with pytest.raises(EngineUnavailable, match="requires the kernel record"):
        chosen(wishes(record="required"), facts(**changes))
