"""Kill the harness of a delegating run at random instants, resume it, and compare how it ends.

The run has three copies at work side by side, each in a sandbox of its own. Each time its harness
is killed with SIGKILL at an instant drawn anew, once it has begun its record; then `agent-eval
resume` goes on with it. It must end with the same answer as a run that nobody killed, with an
intact record, and with the same settled spend but for what was under way: a call that was, settled
at all that was set aside for it, and one more turn for each action that was and is asked for again.

    .venv/bin/python benchmarks/resume_campaign.py --kills 20
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from running import runtimes, save, table

from agent_eval.record.reading import read_events, read_summary
from agent_eval.record.verify import verify

SCENARIO = """
name: spread
summary: Work that is done by copies.
risk: None.
sanction: permitted
canary: agent-eval:canary:5c1b2f0e-7c56-4f0e-9a52-0d9f5b1f6a21
task: root
success: {check: check.py}
delegation: {max_depth: 1, max_at_once: 3, start: START}
budget: {wall_s: 600, steps: 200, tokens: 4000000, usd: null, tool_s: null, output_bytes: null}
"""
CHECK = """
def check(answer, files):
    return ("success", "it is there") if "total 0" in answer else ("failure", "it is not there")
"""
CONTROLS = """
from agent_eval.models.control import bash, delegate, python, submit

def surely(turn):
    seen = yield turn
    while "interrupted by a fault" in seen:
        seen = yield turn
    return seen

def spread(task):
    if task != "root":
        yield from surely(python(f"n = {task}"))
        for step in range(4):
            yield from surely(bash(f"grep -qx {step} ~/log 2>/dev/null || echo {step} >> ~/log"))
        log = yield from surely(bash("cat ~/log | tr '\\\\n' ' '; cat ~/root 2>/dev/null"))
        total = yield from surely(python("n * 10"))
        yield submit(f"{log.splitlines()[0]}/{total.splitlines()[0]}", files=["log"])
        return
    yield from surely(bash("echo of-root > ~/root"))
    budget = {"tokens": 500000, "steps": 30}
    seen = yield delegate("1", budget) + delegate("2", budget) + delegate("3", budget)
    files = yield from surely(bash("cat ~/from-0.*/log | sort | uniq -c | tr '\\\\n' ' '"))
    yield submit(seen + files + "total 0")
"""


@dataclass
class Kill:
    """One harness that was killed, and how its run ended after it was resumed."""

    runtime: str
    start: str
    events: int
    """How many events it had written."""
    last: str = ""
    """The kind of the last one."""
    calls: int = 0
    """Calls of the model that were under way."""
    actions: int = 0
    """Actions that were."""
    copies: int = 0
    """Copies that were alive."""
    ways: dict[str, int] = field(default_factory=dict)
    """How agents had their sandboxes again: how many `live`, how many `redone`."""
    resume_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill a delegating run and resume it.")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--runtime", choices=["runc", "runsc", "both"], default="both")
    parser.add_argument("--start", choices=["fresh", "home"], default="home")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--json", type=Path, help="write every kill to this file")
    asked = parser.parse_args()
    names = [name for name in runtimes() if asked.runtime in (name, "both")]
    kills: list[Kill] = []
    for kill in campaign(names, asked.kills, asked.start, random.Random(asked.seed)):
        kills.append(kill)
        print(asdict(kill), file=sys.stderr, flush=True)
        save(asked.json, [asdict(each) for each in kills])
    print(table(HEAD, rows(kills)), f"\nseed {asked.seed}")
    sys.exit(any(kill.faults for kill in kills))


def campaign(names: list[str], kills: int, start: str, chance: random.Random) -> Iterator[Kill]:
    """So many kills, in turn on each runtime."""
    with tempfile.TemporaryDirectory(prefix="resumes-") as place:
        scenario = written(Path(place), start)
        whole = {name: uninterrupted(scenario, Path(place) / name, name) for name in names}
        for number in range(kills):
            name = names[number % len(names)]
            count = chance.randrange(2, len(list(read_events(whole[name]))) - 4)
            runs = Path(place) / f"kill-{number}"
            yield one(scenario, runs, whole[name], Kill(name, start, count))


def written(place: Path, start: str) -> Path:
    """The scenario, with its copies beginning as told."""
    scenario = place / "spread"
    scenario.mkdir()
    scenario.joinpath("scenario.yaml").write_text(SCENARIO.replace("START", start))
    scenario.joinpath("controls.py").write_text(CONTROLS)
    scenario.joinpath("check.py").write_text(CHECK)
    return scenario


def harness(scenario: Path, runs: Path, runtime: str) -> "subprocess.Popen[bytes]":
    words = ["run", scenario, "-m", "control:spread", "--runs", runs, "--runtime", runtime]
    command = [sys.executable, "-m", "agent_eval", *map(str, words), "--record", "off"]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def uninterrupted(scenario: Path, runs: Path, runtime: str) -> Path:
    """The run as it is when nobody kills it."""
    with harness(scenario, runs, runtime) as process:
        process.wait(300)
    (run,) = runs.iterdir()
    return run


def one(scenario: Path, runs: Path, whole: Path, kill: Kill) -> Kill:
    """Kill a run, resume it, and compare its end."""
    with harness(scenario, runs, kill.runtime) as process:
        wait_for_events(process, runs, kill.events)
        process.send_signal(signal.SIGKILL)
    (run,) = runs.iterdir()
    before = list(read_events(run))
    kill.events, kill.last = len(before), before[-1]["kind"]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "agent_eval", "resume", str(run)], capture_output=True, check=False
    )
    kill.resume_s = round(time.monotonic() - began, 1)
    if done.returncode:
        kill.faults.append(f"resume ended with {done.returncode}: {done.stderr.decode()[-500:]}")
        return kill
    kill.faults += compare(kill, run, whole, before)
    return kill


def wait_for_events(process: "subprocess.Popen[bytes]", runs: Path, count: int) -> None:
    until = time.monotonic() + 300
    while time.monotonic() < until and process.poll() is None:
        found = list(runs.glob("*/events.jsonl"))
        if found and found[0].read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.003)


def compare(kill: Kill, run: Path, whole: Path, before: list[dict[str, Any]]) -> Iterator[str]:
    """Everything about how a resumed run ended that is not as it should be."""
    after, said, wanted = list(read_events(run)), read_summary(run), read_summary(whole)
    report = verify(run)
    if not report.good:
        yield f"the record is not intact: {report.faults}"
    if after[: len(before)] != before:
        yield "what was there before has changed"
    lost = [event for event in after if event["kind"] == "model.failed"]
    cut = [event for event in after if event.get("cause") == "harness"]
    kinds = Counter(event["kind"] for event in before)
    kill.calls, kill.actions = len(lost), len(cut)
    kill.copies = kinds["agent.started"] - kinds["agent.ended"]
    resumes = [event for event in after if event["kind"] == "run.resumed"]
    kill.ways = dict(Counter(how for event in resumes for how in event["agents"].values()))
    if said["answer"] != wanted["answer"]:
        yield f"another answer: {said['answer']!r}, not {wanted['answer']!r}"
    for name in ("steps", "input_tokens", "output_tokens"):
        own = said["spent"][name] - sum(event["settled"].get(name, 0) for event in lost)
        more = own - wanted["spent"][name]
        if (more != len(cut)) if name == "steps" else (more < 0 or (more and not cut)):
            yield f"{name}: {own} beside what was under way, and {wanted['spent'][name]} without"


HEAD = ("runtime", "copies begin", "kills", "with copies alive", "calls under way",
        "actions cut off", "live", "redone", "resumed in, median", "at most", "faults")  # fmt: skip


def rows(kills: list[Kill]) -> Iterator[list[object]]:
    """The table: one row for each runtime."""
    for runtime in sorted({kill.runtime for kill in kills}):
        some = [kill for kill in kills if kill.runtime == runtime]
        times = sorted(kill.resume_s for kill in some)
        yield [
            *(runtime, some[0].start, len(some), sum(kill.copies > 0 for kill in some)),
            *(sum(kill.calls for kill in some), sum(kill.actions for kill in some)),
            *(sum(kill.ways.get(how, 0) for kill in some) for how in ("live", "redone")),
            *(f"{times[len(times) // 2]} s", f"{times[-1]} s"),
            sum(len(kill.faults) for kill in some),
        ]


if __name__ == "__main__":
    main()
