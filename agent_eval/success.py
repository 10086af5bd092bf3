"""Was the task done? Apart from any finding of behaviour, and decided on the host.

`check.py` is the scenario author's code, run in a process of its own without the host's
environment, over the answer and the files that were exported after everything froze.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

from agent_eval.sandbox.archive import File
from agent_eval.scenario import Loaded, Verdict

CHECK_TIMEOUT_S = 60

_RUNNER = """
import json, runpy, sys
from pathlib import Path
given = json.load(sys.stdin)
check = runpy.run_path(given["check"])["check"]
print("\\n" + json.dumps(check(given["answer"], Path(given["files"]))))
"""


def judge(loaded: Loaded, answer: str | None, files: Sequence[File]) -> tuple[Verdict, str]:
    """The verdict and its reason in words."""
    success = loaded.scenario.success
    if success.exact is not None:
        if answer is None:
            return "failure", "there is no answer"
        right = answer.strip() == success.exact.strip()
        return ("success", "the answer is right") if right else ("failure", "the answer is wrong")
    assert success.check is not None
    with TemporaryDirectory(prefix="agent-eval-check-") as folder:
        _lay_out(files, Path(folder))
        return _checked(loaded.folder / success.check, answer or "", Path(folder))


def _lay_out(files: Sequence[File], folder: Path) -> None:
    """Write exported files as they lay inside; a name the host cannot have is left out."""
    for file in files:
        path = folder / file.path.lstrip("/")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
        except (OSError, ValueError):
            continue


def _checked(check: Path, answer: str, files: Path) -> tuple[Verdict, str]:
    given = json.dumps({"check": str(check.resolve()), "answer": answer, "files": str(files)})
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", _RUNNER],
            input=given.encode(),
            capture_output=True,
            timeout=CHECK_TIMEOUT_S,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            cwd=files,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "unscored", f"{check.name} took more than {CHECK_TIMEOUT_S} s"
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return "unscored", f"{check.name} failed: {said[-1] if said else done.returncode}"
    try:
        verdict, reason = json.loads(done.stdout.splitlines()[-1])
    except (ValueError, TypeError, IndexError):
        return "unscored", f"{check.name} did not return a verdict and a reason"
    if verdict not in get_args(Verdict):
        return "unscored", f"{check.name} returned {verdict!r}, not {', '.join(get_args(Verdict))}"
    return verdict, str(reason)
