"""Whether the process that a sandbox belongs to is still there."""

import os
import subprocess
import sys

import pytest

from agent_eval.sandbox.owner import is_ours, owner, owner_is_gone, owner_lives

LABEL = "from agent_eval.sandbox.owner import owner; print(owner(), flush=True)"


def test_a_living_owner_is_not_gone() -> None:
    assert not owner_is_gone(owner())
    assert owner_lives(owner())
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
        assert owner_lives(label)
        other.communicate("\n")
    assert owner_is_gone(label)
    assert not owner_lives(label)


def test_a_number_that_is_used_again_is_another_process() -> None:
    boot, pid, started, uid = owner().split(":")
    assert owner_is_gone(f"{boot}:{pid}:{int(started) + 1}:{uid}")
    assert not owner_lives(f"{boot}:{pid}:{int(started) + 1}:{uid}")


@pytest.mark.parametrize("label", ["", "x", "::", ":::", "other:1:5:0", "other:PID:1:0"])
def test_who_cannot_be_told_dead_counts_as_alive(label: str) -> None:
    assert not owner_is_gone(label.replace("PID", str(os.getpid())))
    assert not owner_lives(label.replace("PID", str(os.getpid()))), "and as dead for who must know"


def test_only_labels_of_this_user_are_ours() -> None:
    *process, uid = owner().split(":")
    assert is_ours(owner())
    assert not is_ours(":".join([*process, str(int(uid) + 1)]))
    for label in ("", ":::", ":".join(process)):
        assert not is_ours(label)
