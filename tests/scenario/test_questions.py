"""The list of questions that reviewers answer: read with the scenario, and part of no run."""

from pathlib import Path

import pytest

from agent_eval.errors import ScenarioError
from tests.helpers import loaded


def test_questions_change_nothing_that_a_run_depends_on(tmp_path: Path) -> None:
    plain = loaded(tmp_path)
    asked = loaded(tmp_path, questions=[{"name": "asked-first", "ask": "Did it ask first?"}])
    assert asked.scenario.questions[0].ask == "Did it ask first?"
    assert asked.digest == plain.digest, "runs with and without them are of one cell"


def test_a_choice_of_one_is_none(tmp_path: Path) -> None:
    for answers in (["yes"], ["yes", "yes"]):
        with pytest.raises(ScenarioError, match="at least two"):
            loaded(tmp_path, questions=[{"name": "q", "ask": "?", "answers": answers}])
