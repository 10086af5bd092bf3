"""Copies in real sandboxes: what ends what, what is left, and what files can do on their way."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.reading import content_bytes
from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = pytest.mark.docker

IMPORTS = "from agent_eval.models.control import delegate\n\n"
ONE_BELOW = {"max_depth": 1, "start": "fresh"}


def family(parent: Path, controls: str, **fields: Any) -> Path:
    caps = {**ONE_BELOW, **fields.pop("delegation", {})}
    small = {"memory_bytes": 192 * 1024 * 1024, **fields.pop("sandbox", {})}
    return scenario(parent, IMPORTS + controls, delegation=caps, sandbox=small, **fields)


def lived(parent: Path, controls: str, *options: str, **fields: Any) -> Path:
    """A run of `control:first` that came to its end; its record is whole."""
    folder = family(parent, controls, **fields)
    runs = parent / "runs"
    done = agent_eval("run", folder, "-m", "control:first", "--runs", runs, *options)
    assert "Traceback" not in done.stderr, done.stderr
    run = only_run(runs)
    assert_whole(run)
    return run


def assert_whole(run: Path) -> None:
    """Sealed and consistent; who began has ended; the ledger adds up; nothing is left running."""
    assert verify(run).good, verify(run)
    started = [event["agent"] for event in events(run, "agent.started")]
    ended = [event["agent"] for event in events(run, "agent.ended")]
    assert sorted(started) == sorted(ended)
    ready = {event["container"] for event in events(run, "sandbox.ready")}
    assert ready <= {event["container"] for event in events(run, "sandbox.removed")}
    assert not containers(run)
    spent = summary(run)["spent"]
    settled = [event["settled"] for event in events(run) if "settled" in event]
    for name in ("input_tokens", "output_tokens", "steps", "output_bytes"):
        assert sum(each.get(name, 0) for each in settled) == spent.get(name, 0), name
    assert sum(each.get("tool_s", 0) for each in settled) == pytest.approx(
        spent.get("tool_s", 0), abs=1e-3
    )


def containers(run: Path) -> str:
    mine = f"label=agent-eval.run={run.name}"
    listed = subprocess.run(
        ["docker", "ps", "-aq", "--filter", mine], capture_output=True, text=True, check=True
    )
    return listed.stdout.strip()


def outcomes(run: Path) -> dict[str, dict[str, Any]]:
    return {event["agent"]: event["outcome"] for event in events(run, "agent.ended")}


def told(run: Path, agent: str = "0") -> list[str]:
    """What an agent read back from its tools."""
    messages = [event["message"] for event in events(run, "message") if event["agent"] == agent]
    return [str(message["content"]) for message in messages if message["role"] == "tool"]


# --- files that a copy hands over -----------------------------------------------------------------

HANDS = r"""
def first(task):
    if task == "hand over":
        yield bash(
            "mkdir -p out/deep; echo plain > out/a.txt; echo below > out/deep/b.txt;"
            "ln -s /etc/passwd link; ln -s /etc out/away; mkfifo out/pipe;"
            "head -c 20000000 /dev/zero > large; chmod 600 out/a.txt; echo t > /tmp/t"
        )
        yield submit("here", files=[
            "out", "link", "missing", "large", "../../etc/passwd", "/etc/hostname", "/tmp/t",
            "/proc/1/environ", "-rf", "out/../../../etc/shadow", "~",
        ])
    # Where the files go is a way to somewhere else: the parent's own files, and no others.
    yield bash("mkdir /tmp/elsewhere; ln -s /tmp/elsewhere ~/from-0.1; echo mine > ~/kept")
    seen = yield delegate("hand over")
    assert "ended with its answer]\nhere" in seen, seen
    assert "missing" in seen and "large" in seen, seen
    for word in ("sandbox", "scenario", "evaluat"):
        assert word not in seen.lower(), seen
    seen = yield bash(
        "cat from-0.1/out/a.txt from-0.1/out/deep/b.txt from-0.1/tmp/t kept;"
        "find /tmp/elsewhere -type f | wc -l; ls -l /etc/passwd | cut -c1-10"
    )
    assert seen.startswith("plain\nbelow\nt\nmine\n"), seen
    yield submit("done")
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_files_come_from_a_copy_to_its_parent_and_nowhere_else(
    runtime: str, tmp_path: Path
) -> None:
    run = lived(tmp_path, HANDS, "--runtime", runtime)
    assert summary(run)["outcome"] == {"status": "submitted"}, summary(run)["outcome"]
    (handed,) = events(run, "files.handed")
    paths = {file["path"]: file for file in handed["files"]}
    assert content_bytes(run, paths["/home/user/from-0.1/out/a.txt"]) == b"plain\n"
    assert all(path.startswith("/home/user/from-0.1/") for path in paths)
    assert not any(".." in path for path in paths)
    assert not any("link" in path or "away" in path or "pipe" in path for path in paths)
    assert any("missing" in why for why in handed["refused"])
    assert not any("shadow" in path for path in paths)


LEAVES_NO_ROOM = r"""
def first(task):
    if task == "hand over":
        yield bash("head -c 3000000 /dev/zero > big; echo small > small")
        yield submit("here", files=["small", "big"])
    yield bash(FILL)
    seen = yield delegate("hand over")
    assert "not all of them could be put" in seen and "here" in seen, seen
    yield bash("true")
    yield submit("done")
"""
FILLED = 'FILL = "head -c 100000000 /dev/zero > full; true"\n'
NO_PROCESS = (
    "FILL = \"python3 -c 'import os, time\\nwhile True:\\n try:\\n  if not os.fork(): "
    "time.sleep(600)\\n except OSError: time.sleep(0.05)' > /dev/null 2>&1 & sleep 3\"\n"
)
NO_FOLDER = 'FILL = "echo x > from-0.1"\n'


@pytest.mark.parametrize(
    ("how", "runtime"), [(FILLED, "runsc"), (NO_FOLDER, "runc"), (NO_PROCESS, "runc")]
)
def test_a_parent_that_leaves_no_room_is_told_so_and_goes_on(
    how: str, runtime: str, tmp_path: Path
) -> None:
    """None in its home, none for the folder, or none for one more process."""
    small = {"home_bytes": 8 * 1024 * 1024}
    run = lived(tmp_path, how + LEAVES_NO_ROOM, "--runtime", runtime, sandbox=small)
    assert summary(run)["outcome"] == {"status": "submitted"}, told(run)


# --- what ends what -------------------------------------------------------------------------------

ENDS = r"""
HOARD = (
    "for i in 1 2 3 4 5 6; do python3 -c 'import time; kept = bytearray(90_000_000);"
    " time.sleep(100)' & done; wait"
)

def first(task):
    if task == "hoard":
        yield bash(HOARD, timeout_s=100)
    if task == "idle":
        while True:
            yield say("I do nothing.")
    if task == "steps":
        while True:
            yield bash("true")
    if task == "well":
        yield bash("sleep 1")
        yield submit("well done")
    seen = yield (
        delegate("hoard") + delegate("idle") + delegate("steps", {"steps": 3}) + delegate("well")
    )
    assert "[copy 0.4 ended with its answer]\nwell done" in seen, seen
    assert "[copy 0.1 ended without an answer: its machine had too much to bear]" in seen, seen
    yield submit("done")
"""


def test_a_copy_that_meets_its_end_takes_no_other_with_it(tmp_path: Path) -> None:
    """One gives up, one reaches its limit, one's sandbox dies of memory; the others go on."""
    run = lived(tmp_path, ENDS, "--runtime", "runsc", budget={"steps": 60})
    assert summary(run)["outcome"] == {"status": "submitted"}, (outcomes(run), told(run))
    ended = outcomes(run)
    assert (ended["0.1"]["error"], ended["0.1"]["blame"]) == ("SandboxDied", "limit")
    assert ended["0.2"]["status"] == "gave_up"
    assert (ended["0.3"]["status"], ended["0.3"]["limit"]) == ("limit", "steps")
    assert ended["0.4"] == {"status": "submitted"}


PARENT_DIES = r"""
def first(task):
    if task == "work":
        yield delegate("work below")
    if task == "work below":
        yield bash("sleep 200", timeout_s=190)
    one = "import time; time.sleep(20); kept = bytearray(90_000_000); time.sleep(100)"
    yield bash(f'for i in 1 2 3 4 5 6; do (python3 -c "{one}" > /dev/null 2>&1 &); done')
    yield delegate("work") + delegate("work below")
    yield submit("never")
"""


@pytest.mark.slow
def test_copies_end_at_once_with_their_parents_sandbox_and_say_why(tmp_path: Path) -> None:
    """A process that the parent left running eats all memory while the copies work."""
    run = lived(tmp_path, PARENT_DIES, "--runtime", "runsc", delegation={"max_depth": 2})
    said = summary(run)["outcome"]
    assert (said["error"], said["blame"]) == ("SandboxDied", "limit"), said
    ended = outcomes(run)
    assert {"0.1", "0.2"} <= set(ended)
    for each in ended.values():
        assert each["status"] == "ended_with_parent"
        assert "memory" in each["message"], each
    assert summary(run)["spent"]["wall_s"] < 150, "they did not work on to their end"


@pytest.mark.slow
def test_the_end_of_the_time_ends_all(tmp_path: Path) -> None:
    controls = PARENT_DIES.replace("kept = bytearray(90_000_000); ", "")
    run = lived(tmp_path, controls, "--wall", "25", delegation={"max_depth": 2})
    assert summary(run)["outcome"]["limit"] == "wall_s"
    ended = outcomes(run)
    assert ended
    for each in ended.values():
        assert "the time of the run was over" in each["message"]


WAITS = r"""
def first(task):
    if task == "work":
        yield bash("echo begun; sleep 300", timeout_s=280)
        yield bash("echo more")
    yield delegate("work") + delegate("work")
    yield submit("never")
"""


class Going:
    """A run both of whose copies have begun to act."""

    def __init__(self, parent: Path, controls: str = WAITS, *options: str) -> None:
        self.runs = parent / "runs"
        command = [sys.executable, "-m", "agent_eval", "run", str(family(parent, controls))]
        command += ["-m", "control:first", "--runs", str(self.runs), *options]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + 200
        while not self.begun():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < until
            time.sleep(0.2)
        self.run = only_run(self.runs)

    def begun(self) -> bool:
        if not self.runs.is_dir() or not any(self.runs.iterdir()):
            return False
        run = only_run(self.runs)
        if not run.joinpath("events.jsonl").exists():
            return False
        return len({event["agent"] for event in events(run, "action.started")}) >= 2


@pytest.mark.parametrize(
    ("presses", "status", "why"),
    [
        (2, "cancelled", "a person ended the run"),
        (3, "cancelled", "a person ended the run"),
    ],
)
def test_ctrl_c_ends_every_copy_and_leaves_nothing(
    presses: int, status: str, why: str, tmp_path: Path
) -> None:
    going = Going(tmp_path)
    for _ in range(presses):
        going.process.send_signal(signal.SIGINT)
        time.sleep(0.5)
    out, err = going.process.communicate(timeout=250)
    assert going.process.returncode == 130, (out, err)
    assert "Traceback" not in err
    assert summary(going.run)["outcome"]["status"] == status
    ended = outcomes(going.run)
    assert set(ended) == {"0.1", "0.2"}
    assert all(why in each["message"] for each in ended.values())
    until = time.monotonic() + 150
    while containers(going.run):  # after the third press the watchdog removes them
        assert time.monotonic() < until
        time.sleep(1)
    assert verify(going.run).good


@pytest.mark.slow
def test_one_ctrl_c_lets_every_copy_end_its_step(tmp_path: Path) -> None:
    going = Going(tmp_path, WAITS.replace("sleep 300", "sleep 15"))
    going.process.send_signal(signal.SIGINT)
    _, err = going.process.communicate(timeout=250)
    assert going.process.returncode == 130, err
    assert summary(going.run)["outcome"]["status"] == "stopped"
    assert {each["status"] for each in outcomes(going.run).values()} == {"stopped"}
    assert_whole(going.run)


@pytest.mark.slow
def test_the_watchdog_ends_the_whole_tree_of_a_killed_harness(tmp_path: Path) -> None:
    going = Going(tmp_path, WAITS, "--lease", "1")
    assert len(containers(going.run).split()) == 3
    os.kill(going.process.pid, signal.SIGKILL)
    going.process.communicate()
    until = time.monotonic() + 250
    while containers(going.run):
        assert time.monotonic() < until
        time.sleep(1)


# --- the same run again ---------------------------------------------------------------------------

SHARES = r"""
def first(task):
    if task.startswith("part"):
        yield bash(f"echo {task[-1]} > ~/{task[-1]}; cat ~/given 2>/dev/null; true")
        yield submit(f"answer {task[-1]}", files=[] if SHARED else [task[-1]])
    yield bash("echo given > ~/given")
    yield delegate("part 1") + delegate("part 2") + delegate("part 3")
    where = "" if SHARED else "from-0.*/"
    seen = yield bash(f"cat {where}1 {where}2 {where}3")
    assert seen.startswith("1\n2\n3\n"), seen
    yield submit("done")
"""


@pytest.mark.parametrize(("start", "runtime"), [("shared", "runc"), ("home", "runsc")])
def test_a_delegating_run_can_be_replayed(start: str, runtime: str, tmp_path: Path) -> None:
    controls = f"SHARED = {start == 'shared'}\n" + SHARES
    caps = {"delegation": {"start": start}}
    run = lived(tmp_path, controls, "--runtime", runtime, **caps)
    assert summary(run)["outcome"] == {"status": "submitted"}, told(run)
    for agent in ("0.1", "0.2", "0.3"):
        assert told(run, agent)[0].startswith("given\n"), "it had its parent's files"
    again = tmp_path / "again"
    folder = tmp_path / "small"
    options = ("--runs", again, "--runtime", runtime)
    done = agent_eval("run", folder, "-m", f"replay:{run}", *options)
    assert done.returncode == 0, done.stderr
    copy = only_run(again)
    assert_whole(copy)
    assert outcomes(copy) == outcomes(run)
    assert [text for text in told(copy) if "copy" in text] == [
        text for text in told(run) if "copy" in text
    ]
    assert "3 asked for, 3 made, 0 refused" in done.stdout
    shown = agent_eval("show", "--tree", copy).stdout
    assert f"└── 0.3 {start}" in shown and "3 asked for" in shown
