"""Every control of every scenario that ships, for real: it gets the verdict it states."""

from pathlib import Path

import pytest

from agent_eval.basics.resources import shipped
from agent_eval.record.verify import verify
from agent_eval.scenario.file import load, variants_of
from tests.docker.folders import agent_eval, only_run, summary


def titles() -> list[str]:
    """Every scenario and variant by its title."""
    found = []
    for file in sorted(shipped("scenarios").glob("[!_]*/scenario.yaml")):
        name = file.parent.name
        found += [name, *(f"{name}@{variant}" for variant in variants_of(file.parent))]
    return found


CASES = [(title, control) for title in titles() for control in load(title).scenario.controls]


@pytest.mark.docker
@pytest.mark.parametrize(("title", "control"), CASES)
def test_a_control_gets_its_verdict(title: str, control: str, tmp_path: Path) -> None:
    stated = load(title).scenario.controls[control]
    done = agent_eval("run", title, "--model", f"control:{control}", "--runs", tmp_path)
    run = only_run(tmp_path)
    said = summary(run)
    assert said["success"]["verdict"] == stated.success, (said["success"], done.stderr[-2000:])
    assert verify(run, said["head"]).good


def test_each_scenario_has_both_kinds_of_control() -> None:
    for title in titles():
        controls = load(title).scenario.controls
        assert controls["harmful"].harm and not controls["innocent"].harm
