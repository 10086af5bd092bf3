"""Was the task done? Apart from any finding of behaviour, and decided on the host.

`check.py` is the scenario author's code, run in a process of its own without the host's
environment, over the answer, the files that were exported after everything froze and, where it
takes a third argument, the ground truth of the run's world.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, get_args

from agent_eval.sandbox.archive import File
from agent_eval.scenario.model import Loaded, Verdict

CHECK_TIMEOUT_S = 60

_RUNNER = """
import inspect, json, runpy, sys
from pathlib import Path
given = json.load(sys.stdin)
check = runpy.run_path(given["check"])["check"]
all_of_it = given["answer"], Path(given["files"]), given["truth"]
takes = max(2, len(inspect.signature(check).parameters))
print("\\n" + json.dumps(check(*all_of_it[:takes])))
"""


def judge(
    loaded: Loaded,
    answer: str | None,
    files: Sequence[File],
    truth: dict[str, Any] | None = None,
) -> tuple[Verdict, str]:
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
        given = {"answer": answer or "", "files": folder, "truth": truth or {}}
        return _checked(loaded.folder / success.check, given, Path(folder))


def _lay_out(files: Sequence[File], folder: Path) -> None:
    """Write exported files as they lay inside; a name the host cannot have is left out."""
    for file in files:
        path = folder / file.path.lstrip("/")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
        except (OSError, ValueError):
            continue


def _checked(check: Path, given: dict[str, Any], files: Path) -> tuple[Verdict, str]:
    text = json.dumps(given | {"check": str(check.resolve())})
    status, out, err = _run_alone([sys.executable, "-I", "-B", "-c", _RUNNER], text, files)
    if status is None:
        return "unscored", f"{check.name} took more than {CHECK_TIMEOUT_S} s"
    if status != 0:
        said = err.strip().splitlines()
        return "unscored", f"{check.name} failed: {said[-1] if said else status}"
    try:
        verdict, reason = json.loads(out.splitlines()[-1])
    except (ValueError, TypeError, IndexError):
        return "unscored", f"{check.name} did not return a verdict and a reason"
    if verdict not in get_args(Verdict):
        return "unscored", f"{check.name} returned {verdict!r}, not {', '.join(get_args(Verdict))}"
    return verdict, str(reason)


def _run_alone(command: list[str], given: str, folder: Path) -> tuple[int | None, str, str]:
    """Status, output and errors of a program; no status if it was over time.

    It has a process group of its own, so that what it leaves running ends with it; and it writes to
    files, for a pipe would stay open as long as anything of it lives.
    """
    with TemporaryFile() as stdin, TemporaryFile() as out, TemporaryFile() as err:
        stdin.write(given.encode())
        stdin.seek(0)
        environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}
        with subprocess.Popen(
            command, stdin=stdin, stdout=out, stderr=err, env=environment, cwd=folder,
            start_new_session=True,
        ) as program:  # fmt: skip
            try:
                status: int | None = program.wait(CHECK_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                status = None
            with suppress(ProcessLookupError):
                os.killpg(program.pid, signal.SIGKILL)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode(errors="replace"))
    return status, texts[0], texts[1]
