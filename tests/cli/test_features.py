"""What this machine can do, and how it is told."""

import os
import subprocess
import sys
from typing import Any

import pytest

from agent_eval.cli import features
from agent_eval.cli.features import Feature
from agent_eval.errors import EngineUnavailable
from agent_eval.sandbox.engine import HOW_TO_GET_ONE
from agent_eval.sandbox.rows import Row
from agent_eval.sandbox.settings import GVISOR

FACTS: dict[str, Any] = {
    "engine": "20.10",
    "kernel": "6.1",
    "system": "Debian",
    "cgroup_version": "2",
    "runtimes": {"runc": {}},
}


def test_what_is_off_says_how_to_turn_it_on() -> None:
    assert Feature("x", True, "why", "how").lines() == ["on   x: why"]
    assert Feature("x", False, "why").lines() == ["OFF  x: why"]
    assert Feature("x", False, "why", "how").lines() == [
        "OFF  x: why",
        "     to turn it on: how",
    ]
    gone = EngineUnavailable(f"no engine answers. {HOW_TO_GET_ONE}")
    assert features.failed("engine", gone, needed=True).lines() == [
        "OFF  engine: no engine answers",
        f"     to turn it on: {HOW_TO_GET_ONE}",
    ]


def test_a_limit_is_on_where_it_was_measured_or_stated() -> None:
    rows = [
        Row("memory_bytes, no swap", 1000, 1000, 1000, True),
        Row("processes", 128, 128, "absent", True, "absent: nobody counts"),
        Row("writable folders", {"/a": 1000, "/b": 500}, None, {"/a": 1000, "/b": 9}, False),
        Row("hostname", "server", "server", None, True),
    ]
    told = [(one.name, one.on, one.why) for one in features.limits("X", rows)]
    assert told == [
        ("memory limit under X", True, "1,000 asked for, 1,000 found"),
        ("process limit under X", False, "nobody counts"),
        (
            "disk limit under X",
            False,
            "1,500 bytes in 2 folders asked for, 1,009 bytes in 2 folders found",
        ),
    ]


def test_what_needs_gvisor_says_how_to_get_it() -> None:
    without = features.checkpoints(FACTS)
    assert (without.on, without.how) == (False, features.ADD_RUNTIMES)
    facts = FACTS | {"runtimes": {GVISOR: {"path": "/bin/true"}}}
    elsewhere = features.checkpoints(facts | {"local": False})
    assert (elsewhere.on, elsewhere.how) == (False, "")
    assert not features.checkpoints(facts | {"local": True}).on, "its wrapper is not ours"
    assert not features.kernel_record(FACTS).on
    assert "setup --runtimes" in features.kernel_record(FACTS).why


def test_the_engine_and_its_control_groups_are_told() -> None:
    engine, groups = features.engine(FACTS)
    assert engine.needed
    assert "Docker 20.10" in engine.why
    assert "version 2" in groups.why


@pytest.mark.docker
@pytest.mark.slow
def test_doctor_tells_every_feature() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent_eval", "doctor"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"COLUMNS": "200"},
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line[:2] != "  "]
    told = {line[5:].partition(":")[0]: line[:3] for line in lines}
    needed = ("engine", "image", "runc", "memory limit under runc", "process limit under runc",
              "disk limit under runc")  # fmt: skip
    assert all(told[name] == "on " for name in needed), told
    assert {"gVisor", "control groups", "kernel record under runc", "checkpoints"} <= set(told)
