r"""What the kernel record costs: the same work in a recorded sandbox and in one that is not.

Each round does every kind of work once with the record and once without, in turn. The time is that
of the action, between order and report; what the kernel told is on record when it ends. The build
needs an image with a compiler, which the one of the sandboxes has not:

    mmdebstrap --variant=minbase --include=python3,gcc,libc6-dev,make bookworm - \
        | docker import - agent-eval-compiler
    .venv/bin/python benchmarks/record.py --runtime runc --rounds 5 --compiler agent-eval-compiler
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from figures import as_lines, machine
from generated import carried_out

from agent_eval.record.reading import read_events

RUNTIMES = ("runc", "runsc")
SPAWN = "for i in {1..300}; do /bin/true; done"
EIGHT = "for w in {1..8}; do (for i in {1..50}; do /bin/true; done) & done; wait"
WRITE = "for i in {1..1000}; do : > /home/user/f$i; done; rm /home/user/f*"
READ = "for i in {1..5}; do cat /usr/lib/python3*/*.py > /dev/null; done"
COMPUTE = "python3 -c 'sum(i * i for i in range(3_000_000))'"
PROJECT = r"""
mkdir -p /home/user/project && cd /home/user/project && rm -f *
for i in {1..20}; do
    printf '#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n' > part$i.c
    printf 'int part%d(int x) { char b[64]; sprintf(b, "%%d", x + %d); return atoi(b); }\n' \
        $i $i >> part$i.c
    printf '#include <assert.h>\nint part%d(int);\nint main(void) { assert(part%d(1) == %d); }\n' \
        $i $i $((i + 1)) > test$i.c
done
printf 'all: $(patsubst %%,run%%,$(shell seq 20))\n' > Makefile
printf 'test%%: test%%.o part%%.o\n\tgcc -o $@ $^\nrun%%: test%%\n\t./$<\n.SECONDARY:\n' >> Makefile
printf '%%.o: %%.c\n\tgcc -O1 -c -o $@ $<\n' >> Makefile
make -s -j2 && echo built
"""


def main() -> None:
    asked = _arguments()
    about = machine()
    work = {"spawn_300": SPAWN, "spawn_8_x_50": EIGHT, "write_1000": WRITE, "read": READ}
    work |= {"compute": COMPUTE} | ({"build": PROJECT} if asked.compiler else {})
    with tempfile.TemporaryDirectory(prefix="agent-eval-benchmark-") as folder:
        figures = measure(asked, work, Path(folder))
    figures = {"runtime": asked.runtime, "rounds": asked.rounds, **figures, **about}
    print(json.dumps(figures) if asked.json else as_lines(figures))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure what the kernel record costs.")
    parser.add_argument("--runtime", choices=RUNTIMES, default="runc")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compiler", help="an image with gcc and make, to build a project in")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def measure(asked: argparse.Namespace, work: dict[str, str], folder: Path) -> dict[str, Any]:
    """Every kind of work, both ways: medians in milliseconds, and what was on record."""
    taken: dict[tuple[str, bool], list[float]] = {}
    figures: dict[str, Any] = {"lost": 0}
    for _ in range(asked.rounds):
        for recorded in (False, True):
            events = _run(asked, work, folder, recorded=recorded)
            ended = [event for event in events if event["kind"] == "action.ended"]
            for name, event in zip(work, ended, strict=True):
                if event["reported_exit"] != 0:
                    sys.exit(f"{name} failed: {event['output']}")
                taken.setdefault((name, recorded), []).append(event["duration_s"])
            if recorded:
                figures["lost"] += events[_closed(events)]["lost"]
                figures |= _facts(work, events)
    for name in work:
        off, on = (statistics.median(taken[name, way]) * 1000 for way in (False, True))
        figures |= {f"{name}_off_ms": round(off), f"{name}_on_ms": round(on)}
        figures[f"{name}_on_over_off"] = round(on / off, 2)
    return figures


def _closed(events: list[dict[str, Any]]) -> int:
    return next(n for n, event in enumerate(events) if event["kind"] == "kernel.closed")


def _facts(work: dict[str, str], events: list[dict[str, Any]]) -> dict[str, int]:
    """How many facts each kind of work made."""
    counts = dict.fromkeys(work, 0)
    for event in events:
        if "pid" in event and event.get("action"):
            counts[list(work)[event["action"] - 1]] += 1
    return {f"{name}_facts": count for name, count in counts.items()}


def _run(
    asked: argparse.Namespace, work: dict[str, str], folder: Path, *, recorded: bool
) -> list[dict[str, Any]]:
    image = {"image": f"{asked.compiler}:latest"} if asked.compiler else {}
    run = carried_out(
        folder,
        work.values(),
        budget={"usd": 1, "wall_s": 3600, "tool_s": 3600},
        actions={"timeout_s": 600},
        sandbox={
            "runtime": asked.runtime,
            "record": "required" if recorded else "off",
            "memory_bytes": "1GiB",
            "cpus": 2,
            "processes": 256,
            **image,
        },
    )
    return list(read_events(run))


if __name__ == "__main__":
    main()
