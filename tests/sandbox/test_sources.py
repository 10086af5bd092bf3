"""Which record a sandbox can have, and what is said where it can have none."""

import os
from typing import Any

import pytest

from agent_eval.errors import EngineUnavailable
from agent_eval.sandbox.kernel import MEETING_PLACE
from agent_eval.sandbox.seccomp_record import SeccompRecord, unavailable
from agent_eval.sandbox.settings import GVISOR, RECORDED_RUNC
from agent_eval.sandbox.sources import chosen
from agent_eval.scenario.model import Sandbox


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


def test_under_runc_it_is_said_what_is_missing() -> None:
    choice = chosen(wishes(runtime="runc"), facts())
    assert (choice.runtime, choice.source) == ("runc", None)
    assert "setup --runtimes" in (choice.why or "")


def test_where_there_can_be_one_runc_is_called_by_the_name_that_keeps_it() -> None:
    there = facts(runtimes={"runc": {"path": "runc"}, RECORDED_RUNC: {"path": "/x/runc-recorded"}})
    assert chosen(wishes(runtime="runc", record="off"), there).runtime == "runc"
    why = unavailable(there)
    if not MEETING_PLACE.is_dir():
        assert "setup --runtimes" in (why or "")
    elif os.geteuid() != 0:
        assert "run as root" in (why or "")
    elif why is None:
        choice = chosen(wishes(runtime="runc", record="required"), there)
        assert choice.runtime == RECORDED_RUNC
        assert isinstance(choice.source, SeccompRecord)
    else:
        assert "process events" in why
