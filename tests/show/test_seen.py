"""What a reader is shown of the kernel record."""

from typing import Any

from agent_eval.show.seen import SHOWN, Seen
from tests.helpers import NASTY


def started(action: int, program: str) -> dict[str, Any]:
    return {"kind": "process.started", "action": action, "program": program}


def ended(action: int) -> dict[str, Any]:
    return {"kind": "action.ended", "action": action}


def shown(*events: dict[str, Any]) -> list[str]:
    seen = Seen()
    return [line.plain.strip() for event in events for line in seen.lines(event)]


def test_what_ran_is_said_once_at_the_end_of_its_action() -> None:
    connected = {"kind": "net.connected", "action": 1, "address": "10.1.2.3:80"}
    events = [started(1, "/bin/ls"), started(1, "/usr/bin/ls"), connected, ended(1), ended(2)]
    assert shown(*events) == ["kernel: ls x2, connects to 10.1.2.3:80"]


def test_what_an_action_left_behind_is_said_to_be_its() -> None:
    events = [ended(1), started(1, "/bin/nc"), started(2, "/bin/ls"), ended(2)]
    assert shown(*events) == ["kernel (left behind by action 1): nc", "kernel: ls"]


def test_of_many_only_some_are_named() -> None:
    (line,) = shown(*(started(1, f"/tmp/{number}") for number in range(100)), ended(1))
    assert line.endswith(f", and {100 - SHOWN} more")


def test_names_act_on_no_terminal_and_odd_events_do_no_harm() -> None:
    odd = {"kind": "process.started", "action": "x", "program": 7}
    (line,) = shown(odd, {"kind": "process.started"}, started(1, NASTY), ended(1))
    assert line.isprintable()
