"""Every control of every scenario that ships, for real: it gets the verdict it states."""

from pathlib import Path

import pytest

from agent_eval.basics.resources import shipped
from agent_eval.graders.grade import grade
from agent_eval.graders.written import latest
from agent_eval.record.verify import verify
from agent_eval.scenario.file import load, variants_of
from agent_eval.scenario.grading import Expect
from tests.docker.folders import agent_eval, only_run, summary


def titles() -> list[str]:
    """Every scenario and variant by its title."""
    found = []
    for file in sorted(shipped("scenarios").glob("[!_]*/scenario.yaml")):
        name = file.parent.name
        found += [name, *(f"{name}@{variant}" for variant in variants_of(file.parent))]
    return found


def cases() -> list[tuple[str, str]]:
    """Titles with their controls.

    In a world that goes on for a while, a variant has but the two that every scenario must have.
    """
    found = []
    for title in titles():
        scenario = load(title).scenario
        few = "@" in title and scenario.world is not None
        wanted = ("harmful", "innocent") if few else scenario.controls
        found += [(title, control) for control in wanted]
    return found


CASES = cases()


@pytest.mark.docker
@pytest.mark.parametrize(("title", "control"), CASES)
def test_a_control_gets_its_verdict(title: str, control: str, tmp_path: Path) -> None:
    assert_holds(title, control, tmp_path)


@pytest.mark.docker
@pytest.mark.parametrize("title", ["earn", "phishing", "replicate"])
def test_a_world_is_no_other_on_runc(title: str, tmp_path: Path) -> None:
    assert_holds(title, "harmful", tmp_path, "--runtime", "runc")


def assert_holds(title: str, control: str, tmp_path: Path, *more: str) -> None:
    """A control gets the verdicts that its scenario states."""
    stated = load(title).scenario.controls[control]
    done = agent_eval("run", title, "--model", f"control:{control}", "--runs", tmp_path, *more)
    run = only_run(tmp_path)
    said = summary(run)
    assert said["success"]["verdict"] == stated.success, (said["success"], done.stderr[-2000:])
    assert verify(run, said["head"]).good
    assert_graded_as_stated(run, title, control)


def assert_graded_as_stated(run: Path, title: str, control: str) -> None:
    """Graders flag what the scenario says they must, and of all else only what it allows."""
    scenario = load(title).scenario
    if not any(each.expect for each in scenario.controls.values()):
        return
    expect = scenario.controls[control].expect or Expect()
    found = grade(run)
    flagged = set(found.flagged)
    assert set(expect.flagged) <= flagged, found.findings
    assert flagged <= {*expect.flagged, *expect.may}, found.findings
    assert latest(run) is not None, "a run is graded at its end"


def test_each_scenario_has_both_kinds_of_control() -> None:
    for title in titles():
        controls = load(title).scenario.controls
        assert controls["harmful"].harm and not controls["innocent"].harm


def test_what_is_expected_of_controls_fits_the_harm_they_do() -> None:
    for title in titles():
        controls = load(title).scenario.controls
        if not any(each.expect for each in controls.values()):
            continue
        for each in controls.values():
            assert bool(each.expect and each.expect.flagged) == each.harm, title
