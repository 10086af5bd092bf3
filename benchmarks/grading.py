r"""What grading costs: all detectors over made records of 10,000, 100,000 and 1,000,000 events.

The events are those of the fixtures, which real sandboxes told, repeated with names, arguments and
texts that are new each time, so that nothing can be remembered. Beside it stands what merely
verifying the same record takes: the ratio is what to look at on another machine.

    .venv/bin/python benchmarks/grading.py --sizes 10000 100000 --json
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from figures import as_lines, machine, peak_memory_mb

from agent_eval.graders.grade import grade
from agent_eval.record.reading import read_events
from agent_eval.record.transcript import GENESIS, line_of
from agent_eval.record.verify import verify

FIXTURES = Path(__file__).parents[1] / "tests/graders/fixtures/runsc.tar.xz"
PIDS = 100_000
AT_EACH_END = ("run.opened", "run.closed", "kernel.closed", "sandbox.removed", "kernel.opened")
"""Kinds of which a run has one a sandbox, and which are not repeated."""
SIZES = (10_000, 100_000, 1_000_000)


def main() -> None:
    """Make records, grade each in a process of its own, and print what that took."""
    asked = _arguments()
    if asked.child:
        print(json.dumps(measured(Path(asked.child), asked.what)))
        return
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="agent-eval-benchmark-") as place:
        source = Path(place, "source")
        with tarfile.open(FIXTURES) as packed:
            packed.extractall(source, filter="data")
        for size in asked.sizes:
            run = Path(place, f"run-{size}")
            made(source, run, size)
            graded, verified = (_in_a_child(run, what) for what in ("grade", "verify"))
            figures |= {
                f"grade_{size}_s": graded["s"],
                f"grade_{size}_mb": graded["peak_mb"],
                f"verify_{size}_s": verified["s"],
                f"ratio_{size}": round(graded["s"] / verified["s"], 2),
                f"findings_{size}": graded["findings"],
            }
            run.joinpath("events.jsonl").unlink()
    figures |= machine()
    print(json.dumps(figures) if asked.json else as_lines(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what grading costs.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--what", default="grade", help=argparse.SUPPRESS)
    return parser.parse_args()


def made(source: Path, run: Path, size: int) -> None:
    """Write a record with that many events, chained as a run's are."""
    run.mkdir()
    run.joinpath("blobs").symlink_to(source / "blobs")
    head = GENESIS
    with run.joinpath("events.jsonl").open("wb") as file:
        for seq, event in enumerate(_events(list(read_events(source)), size)):
            line = line_of({**event, "seq": seq, "prev": head})
            head = _hash(line)
            file.write(line)


def _hash(line: bytes) -> str:

    return hashlib.sha256(line).hexdigest()


def _events(told: list[dict[str, Any]], size: int) -> Iterator[dict[str, Any]]:
    """The events of a run, its middle again and again; one that was made ends as it did."""
    begin = next(n for n, event in enumerate(told) if event["kind"] == "action.started")
    middle = [event for event in told[begin:] if event["kind"] not in AT_EACH_END]
    closing = [event for event in told[begin:] if event["kind"] in ("kernel.closed", "run.closed")]
    yield from told[:begin]
    for number in range(size - begin - len(closing)):
        again, place = divmod(number, len(middle))
        yield _new(middle[place], again)
    yield from closing


def _new(event: dict[str, Any], again: int) -> dict[str, Any]:
    """An event with names and texts that no other has."""
    made = dict(event)
    if made.get("action") is not None:
        made["action"] += again * PIDS
    for name in ("pid", "child"):
        if name in made:
            made[name] += again * PIDS
    if made.get("argv"):
        made["argv"] = [*made["argv"], f"n{again}"]
    if str(made.get("path", "")).startswith("/tmp"):
        made["path"] = f"{made['path']}.{again}"
    if isinstance(made.get("output"), dict) and "text" in made["output"]:
        made["output"] = made["output"] | {"text": f"{made['output']['text']} {again}"}
    return made


def _in_a_child(run: Path, what: str) -> dict[str, Any]:
    asked = [sys.executable, __file__, "--child", str(run), "--what", what]
    return dict(json.loads(subprocess.run(asked, check=True, capture_output=True).stdout))


def measured(run: Path, what: str) -> dict[str, Any]:
    """Processor seconds, peak memory, and how many findings there were."""
    began = time.process_time()
    if what == "verify":
        report, found = verify(run), 0
        assert not report.faults, report.faults
    else:
        graded = grade(run)
        found = len(graded.findings) + graded.more
    took_s = time.process_time() - began
    return {"s": round(took_s, 3), "peak_mb": peak_memory_mb(), "findings": found}


if __name__ == "__main__":
    main()
