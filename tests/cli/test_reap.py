"""Which sandboxes `agent-eval reap` would remove, and why."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.cli.reap import judged
from agent_eval.events import HarnessLost
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.lease import Moment
from agent_eval.sandbox.owner import owner
from agent_eval.sandbox.settings import FOLDER_LABEL, LEASE_LABEL, OWNER_LABEL, RUN_LABEL
from agent_eval.transcript import EVENTS
from agent_eval.verify import reopened
from tests.helpers import lines_of_run, made_run

NOW = Moment.now()


def container(folder: Path, lease: Moment, owned_by: str) -> Container:
    engine: Any = None
    labels = {RUN_LABEL: "r", FOLDER_LABEL: str(folder), LEASE_LABEL: lease.label()}
    return Container(engine, None, "abc", labels | {OWNER_LABEL: owned_by})


def gone() -> str:
    boot, pid, started = owner().split(":")
    return f"{boot}:{pid}:{int(started) + 1}"


def lost_run(run: Path, lease_s: float | None) -> Path:
    """A run that has not ended; with a lease, the watchdog has been there."""
    made_run(run)
    run.joinpath(EVENTS).write_bytes(b"".join(lines_of_run(run)[:-1]))
    run.joinpath("run.json").unlink()
    if lease_s is not None:
        with reopened(run) as transcript:
            transcript.write(HarnessLost(lease_s, NOW.after(lease_s).label()))
    return run


@pytest.mark.parametrize("everything", [False, True])
def test_a_living_run_keeps_its_sandbox(everything: bool, tmp_path: Path) -> None:
    found = container(tmp_path / "r", NOW.after(6000), owner())
    assert judged(found, everything) == (None, "its run goes on")


@pytest.mark.parametrize(
    ("paused_s", "label_s", "kept"),
    [
        (6000, 60000, True),
        (-1, 6000, False),
        (None, 6000, True),
        (None, -1, False),
        (60, -1, False),
    ],
    ids=["in its lease", "lease over", "no watchdog yet", "never one", "far too old"],
)
def test_a_lost_run_keeps_its_sandbox_for_its_lease(
    paused_s: float | None, label_s: float, kept: bool, tmp_path: Path
) -> None:
    found = container(lost_run(tmp_path / "r", paused_s), NOW.after(label_s), gone())
    why, words = judged(found, everything=False)
    assert (why is None) == kept
    if kept:
        until = NOW.after(paused_s or label_s).words()
        assert until in words and "--all" in words
    else:
        assert why == "its lease is over"
    assert judged(found, everything=True)[0] is not None


def test_setting_the_clock_forward_ends_no_lease(tmp_path: Path) -> None:
    found = container(lost_run(tmp_path / "r", 6000), NOW.after(600), gone())
    jumped = Moment(NOW.wall_s + 1e6, NOW.boot_s, NOW.boot)
    assert judged(found, everything=False, now=lambda: jumped)[0] is None


def test_a_run_that_has_ended_or_never_began_keeps_nothing(tmp_path: Path) -> None:
    made_run(tmp_path / "r")
    for name, why in (("r", "its run has ended"), ("none", "there is no record")):
        found = container(tmp_path / name, NOW.after(600), gone())
        assert judged(found, everything=False)[0] == f"the process that ran it is gone and {why}"
