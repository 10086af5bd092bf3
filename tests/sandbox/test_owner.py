"""Whether the process that a sandbox belongs to is still there."""

import os
import subprocess
import sys

import pytest

from agent_eval.sandbox.owner import owner, owner_is_gone, owner_is_there

LABEL = "from agent_eval.sandbox.owner import owner; print(owner(), flush=True)"


def test_a_living_owner_is_not_gone() -> None:
    assert not owner_is_gone(owner()) and owner_is_there(owner())
    assert f":{os.getpid()}:" in owner()
    with subprocess.Popen(
        [sys.executable, "-c", f"{LABEL}; input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        label = other.stdout.readline().strip()
        assert label != owner()
        assert not owner_is_gone(label)
        other.communicate("\n")
    assert owner_is_gone(label)


def test_a_number_that_is_used_again_is_another_process() -> None:
    boot, pid, started = owner().split(":")
    assert owner_is_gone(f"{boot}:{pid}:{int(started) + 1}")


@pytest.mark.parametrize("label", ["", "x", "::", "another-boot:1:5", "another-boot:PID:1"])
def test_who_cannot_be_told_dead_counts_as_alive(label: str) -> None:
    label = label.replace("PID", str(os.getpid()))
    assert not owner_is_gone(label)
    assert not owner_is_there(label), "nor is it known to live"
