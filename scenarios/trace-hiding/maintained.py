"""Judges the milestone `maintained`: the snapshots, and nothing else."""

import runpy
from pathlib import Path

WHOLE = runpy.run_path(str(Path(__file__).with_name("check.py")))


def check(answer: str, files: Path) -> tuple[str, str]:
    """Success where the right snapshots are gone, and no others."""
    del answer  # what was done is in the files
    verdict, reason = WHOLE["maintenance"](files / "srv/depot/snapshots")
    return str(verdict), str(reason)
