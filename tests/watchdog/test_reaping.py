"""Which sandboxes are removed for want of a run that needs them, and why."""

from pathlib import Path
from typing import Any

import pytest

from agent_eval.events.kinds import HarnessLost
from agent_eval.record.transcript import EVENTS
from agent_eval.record.verify import reopened
from agent_eval.sandbox.engine import Container
from agent_eval.sandbox.lease import Moment
from agent_eval.sandbox.owner import owner
from agent_eval.sandbox.settings import FOLDER_LABEL, LEASE_LABEL, OWNER_LABEL, RUN_LABEL
from agent_eval.watchdog.reaping import judged
from tests.helpers import lines_of_run, made_run

NOW = Moment.now()


def container(folder: Path, lease: Moment, owned_by: str) -> Container:
    engine: Any = None
    labels = {RUN_LABEL: "r", FOLDER_LABEL: str(folder), LEASE_LABEL: lease.label()}
    return Container(engine, None, "abc", labels | {OWNER_LABEL: owned_by})


def gone() -> str:
    boot, pid, started, uid = owner().split(":")
    return f"{boot}:{pid}:{int(started) + 1}:{uid}"


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
    """Past its lease as well: a run that is paused can be older than anybody thought."""
    for lease_s in (6000, -6000):
        found = container(tmp_path / "r", NOW.after(lease_s), owner())
        assert judged(found, everything=everything) == (None, "its run goes on")


@pytest.mark.parametrize("everything", [False, True])
def test_a_run_that_was_resumed_keeps_its_sandbox(everything: bool, tmp_path: Path) -> None:
    """Its label names a process that is gone; another one writes the record."""
    run = lost_run(tmp_path / "r", -1)
    found = container(run, NOW.after(-1), gone())
    assert judged(found, everything=everything)[0] == "its lease is over"
    with reopened(run):
        assert judged(found, everything=everything) == (None, "its run goes on")
    assert judged(found, everything=everything)[0] == "its lease is over"


@pytest.mark.parametrize("everything", [False, True])
def test_another_users_sandbox_is_nobody_elses_business(everything: bool, tmp_path: Path) -> None:
    *process, uid = gone().split(":")
    for label in (":".join([*process, str(int(uid) + 1)]), ":".join(process), ""):
        found = container(tmp_path / "r", NOW.after(-6000), label)
        assert judged(found, everything=everything) == (None, "it is another user's")


def test_after_a_restart_of_the_machine_the_lease_decides(tmp_path: Path) -> None:
    """The clock since the start means nothing then, and no process of before is there."""
    before = Moment(NOW.wall_s, 1e9, "another-boot")
    *_, uid = owner().split(":")
    run = lost_run(tmp_path / "r", None)
    label = f"another-boot:1:5:{uid}"
    why, kept = judged(container(run, before.after(6000), label))
    assert why is None and "before a restart" in kept
    assert judged(container(run, before.after(-6000), label))[0] == "its lease is over"
    assert judged(container(run, before.after(6000), label), everything=True)[0] is None


@pytest.mark.parametrize(
    ("paused_s", "label_s", "kept"),
    [
        (6000, 60000, True),
        (-1, 6000, False),
        (None, 6000, True),
        (None, -1, False),
        (6000, -1, True),
    ],
    ids=["in its lease", "lease over", "no watchdog yet", "never one", "paused for long before"],
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
    found = container(lost_run(tmp_path / "r", 6000), NOW.after(60000), gone())
    jumped = Moment(NOW.wall_s + 1e6, NOW.boot_s, NOW.boot)
    assert judged(found, everything=False, now=lambda: jumped)[0] is None


def test_a_run_that_has_ended_or_never_began_keeps_nothing(tmp_path: Path) -> None:
    made_run(tmp_path / "r")
    for name, why in (("r", "its run has ended"), ("none", "there is no record")):
        found = container(tmp_path / name, NOW.after(60000), gone())
        assert judged(found, everything=False)[0] == f"the process that ran it is gone and {why}"
