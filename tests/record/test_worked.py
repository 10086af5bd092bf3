"""What counts as work in a record, and what does not."""

from typing import Any

import pytest

from agent_eval.record.worked import Worked


def worked_s(*events: tuple[float, str, dict[str, Any]]) -> float:
    worked = Worked()
    for at, kind, fields in events:
        worked.see({"kind": kind, "elapsed_s": at, **fields})
    return worked.seconds


OPENED: tuple[float, str, dict[str, Any]] = (0.0, "run.opened", {})
BEGUN: tuple[float, str, dict[str, Any]] = (5.0, "message", {})


def steered(at: float, act: str) -> tuple[float, str, dict[str, Any]]:
    return at, "operator.steered", {"act": act}


@pytest.mark.parametrize(
    ("then", "seconds"),
    [
        ([(9.0, "model.replied", {})], 4),
        ([(9.0, "sandbox.frozen", {}), (20.0, "sandbox.removed", {})], 0),
        ([steered(8, "pause"), (9.0, "model.replied", {}), (9.5, "message", {}),
          steered(60, "continue"), (61.0, "action.started", {})], 4),
        ([steered(8, "pause"), steered(60, "stop"), (61.0, "message", {})], 4),
        ([(105.0, "harness.gap", {"silent_s": 100.0}), (106.0, "model.called", {})], 4),
        ([(105.0, "intervened", {"waited_s": 98.0}), (106.0, "action.started", {})], 3),
        ([(100.0, "model.called", {}), (105.0, "intervened", {"waited_s": 98.0})], 2),
        ([(6.0, "action.started", {}), (90.0, "harness.lost", {}), (95.0, "run.resumed", {}),
          (99.0, "model.called", {}), (100.0, "model.replied", {})], 2),
        ([steered(8, "pause"), (90.0, "harness.lost", {}), (95.0, "run.resumed", {}),
          (99.0, "model.called", {}), (100.0, "model.replied", {})], 4),
    ],
    ids=["work", "after the end", "paused", "stopped while paused", "gap", "a person decides",
         "others went on meanwhile", "lost and resumed", "lost while paused, and resumed"],
)  # fmt: skip
def test_only_work_counts(then: list[tuple[float, str, dict[str, Any]]], seconds: float) -> None:
    assert worked_s(OPENED, BEGUN, *then) == pytest.approx(seconds)
