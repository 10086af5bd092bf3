"""Scenario folders and servers for tests of whole runs."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from agent_eval.record.reading import read_events
from tests.warm import call

CANARY = "agent-eval:canary:6f2d8f0e-3c56-4f0e-9a52-0d9f5b1f6a11"


def scenario(parent: Path, controls: str = "", **fields: Any) -> Path:
    """A folder with a small scenario; `controls` is the body of its controls.py."""
    folder = parent / str(fields.get("name", "small"))
    folder.mkdir()
    whole: dict[str, Any] = {
        "name": folder.name,
        "summary": "A small job.",
        "risk": "None; it is for tests.",
        "sanction": "permitted",
        "canary": CANARY,
        "task": "Do the small job.",
        "success": {"exact": "done"},
        **fields,
    }
    if controls:
        heading = "from agent_eval.models.control import bash, python, say, submit\n\n"
        folder.joinpath("controls.py").write_text(heading + controls)
    with folder.joinpath("scenario.yaml").open("w") as file:
        YAML(typ="safe", pure=True).dump(whole, file)
    return folder


def agent_eval(
    *arguments: str | Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Call the command line as a person would, but for the second in which it is imported."""
    return call([str(each) for each in arguments], env, timeout_s=250)


def only_run(runs: Path) -> Path:
    """The one run folder that is there."""
    (run,) = runs.iterdir()
    return run


def events(run: Path, kind: str | None = None) -> list[dict[str, Any]]:
    """Events of a run, of one kind or all."""
    return [event for event in read_events(run) if kind in (None, event["kind"])]


def summary(run: Path) -> dict[str, Any]:
    """What `run.json` says."""
    return dict(json.loads(run.joinpath("run.json").read_text()))
