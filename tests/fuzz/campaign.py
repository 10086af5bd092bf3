"""Fuzz each target for a while, one after the other: `make fuzz MINUTES=n [TARGETS="a b"]`.

What is found goes to `.fuzz/`, where the next campaign goes on; of the inputs that reach code the
others do not, the short ones are kept in `tests/fuzz/corpus`. An input that makes a check raise,
takes too long or too much memory is named at the end, and the command then fails.
"""

import argparse
import hashlib
import re
import resource
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.kept import TARGETS, inputs_of, keep, module_of

WORK = Path(".fuzz")
KEPT_BYTES = 4096
"""What may be kept of a target's corpus, as bytes of its inputs."""

LIMITS = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=16384")
_STATUS = re.compile(rb"cov: (\d+) ft: (\d+) .* rss: (\d+)Mb")


@dataclass(frozen=True)
class Ran:
    """What came of one target."""

    name: str
    executions: int
    edges: int
    cpu_s: float
    grown_mb: int
    """Peak memory at the end beyond that after the kept inputs."""
    found: list[Path]
    """Inputs that are faults."""


def main() -> int:
    """Fuzz the targets, keep their corpus, print what came of it."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--minutes", type=float, default=10, help="for all targets together")
    asked.add_argument("targets", nargs="*", help=f"some of: {' '.join(TARGETS)}")
    wanted = asked.parse_args()
    names = wanted.targets or TARGETS
    print(f"{'target':12} {'executions':>10} {'edges':>6} {'CPU s':>7} {'grown MB':>8}  faults")
    found = []
    for name in names:
        ran = fuzz(name, max(int(wanted.minutes * 60 / len(names)), 1))
        distil(name)
        row = f"{name:12} {ran.executions:10} {ran.edges:6} {ran.cpu_s:7.0f} {ran.grown_mb:8}"
        print(f"{row}  {len(ran.found)}", flush=True)
        found += ran.found
    for path in found:
        print(f"FAULT {path}: see {path}.log")
    return 1 if found else 0


def fuzz(name: str, seconds: int) -> Ran:
    """Run one target for so long, or until its first fault."""
    corpus, faults = WORK / name, WORK / "faults"
    for folder in (corpus, faults):
        folder.mkdir(parents=True, exist_ok=True)
    for data in inputs_of(name):
        corpus.joinpath(hashlib.sha256(data).hexdigest()[:40]).write_bytes(data)
    before, began_s = set(faults.iterdir()), cpu_s()
    options = (*LIMITS, f"-max_total_time={seconds}", f"-artifact_prefix={faults}/{name}-")
    said = run(name, *options, str(corpus))
    found = sorted(set(faults.iterdir()) - before)
    for path in found:
        path.with_name(path.name + ".log").write_bytes(said[-20_000:])
    statuses = [tuple(map(int, each)) for each in _STATUS.findall(said)]
    done = re.findall(rb"#(\d+)\s", said)
    return Ran(
        name=name,
        executions=int(done[-1]) if done else 0,
        edges=statuses[-1][0] if statuses else 0,
        cpu_s=cpu_s() - began_s,
        grown_mb=statuses[-1][2] - statuses[0][2] if statuses else 0,
        found=found,
    )


def distil(name: str) -> None:
    """Keep the shortest inputs of those that the fuzzer needs to reach all it has reached."""
    least = WORK / f"{name}.least"
    least.mkdir(exist_ok=True)
    for file in least.iterdir():
        file.unlink()
    run(name, *LIMITS, "-merge=1", str(least), str(WORK / name))
    seeds, kept, room = set(module_of(name).SEEDS), [], KEPT_BYTES
    for data in sorted((file.read_bytes() for file in least.iterdir()), key=len):
        room -= len(data)
        if room < 0:
            break
        if data not in seeds:
            kept.append(data)
    keep(name, kept)


def run(name: str, *options: str) -> bytes:
    """Run the fuzzer out of everybody's way; returns what it printed."""
    command: Sequence[str] = ("nice", "-n", "19", sys.executable, "-m", "tests.fuzz.one", name)
    done = subprocess.run([*command, *options], capture_output=True, check=False)
    return done.stdout + done.stderr


def cpu_s() -> float:
    """CPU time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
