"""The digest of graders covers what they grade with, and nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from agent_eval.graders import grade
from agent_eval.graders.digest import grader_digest, modules

BESIDE = {
    "agent_eval.graders.calibration",
    "agent_eval.graders.catalogue",
    "agent_eval.graders.live",
    "agent_eval.graders.written",
    "agent_eval.record.verify",
    "agent_eval.run.run",
}
"""What prints, keeps or watches, or makes runs: no verdict rests on it."""


@pytest.mark.slow
def test_it_covers_just_the_modules_that_grading_loads() -> None:
    modular = "n for n, m in sys.modules.items() if not hasattr(m, '__path__')"
    code = f"import sys, {grade.__name__}; print(*({modular}))"
    asked = [sys.executable, "-c", code]
    loaded = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
    ours = {name for name in loaded if name.startswith("agent_eval.")}
    assert modules() == ours, "a name left out is graded with and not covered"
    assert {"agent_eval.truth.copies", "agent_eval.graders.joins"} <= modules()
    assert not BESIDE & modules()


def test_a_changed_rule_is_another_grader(tmp_path: Path) -> None:
    rule = tmp_path / "rule.yml"
    rule.write_text("title: one")
    first = grader_digest((tmp_path,))
    rule.write_text("title: two")
    assert len({grader_digest(), first, grader_digest((tmp_path,))}) == 3
    assert grader_digest() == grader_digest()
