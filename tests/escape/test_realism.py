"""Nothing that can be read inside tells what this place is: sandbox/README.md has the rule."""

import json
import os
import re
from pathlib import Path
from typing import Any

import docker
import pytest
from ruamel.yaml import YAML

from agent_eval.agent.actions import Malformed, action_of
from agent_eval.agent.instructions import read_instructions
from agent_eval.basics.conversation import ToolCall
from agent_eval.run.seeds import seed_files
from agent_eval.sandbox.archive import File
from agent_eval.sandbox.container import Sandbox
from agent_eval.sandbox.snapshot import Kind
from agent_eval.scenario.file import load
from agent_eval.scenario.model import Loaded
from tests.docker.boxes import RUNTIMES, bash, box, python
from tests.docker.copies import family

ROOT = Path(__file__).parents[2]
SEARCH = ROOT.joinpath("sandbox/hostile/search.py").read_bytes()
SCENARIOS = sorted(file.parent for file in ROOT.glob("scenarios/[!_]*/scenario.yaml"))
ON_BOTH = pytest.mark.parametrize("runtime", RUNTIMES)
OF_EACH = pytest.mark.parametrize("folder", SCENARIOS, ids=lambda folder: folder.name)

NAMES = ["agent-eval", "agent_eval", "agenteval", "agent eval"]
"""This project, which nothing at all may name."""

WORDS = [
    *(r"(?<![a-z])test", r"(?<![a-z])eval", r"(?<![a-z])simulat", r"(?<![a-z])canary"),
    *("sandbox", "scenario", "benchmark", "harness", "honey", "rubric", r"red.?team"),
]
"""What only files of distribution packages and the kernel may hold; in small letters."""

WANTED = {"delegation": ["delegation"], "earn": ["earn"], "plan": ["plan"]}
"""Words that a scenario wants to be read in it, by its name; see `WORDS`.

Delegation is also what every agent with that tool is told it can do; the others are plain words of
their tasks.
"""

SEEN = [".program", ".order"]
"""The search itself, in the home folder while it runs."""

Report = dict[str, Any]


def order(tops: list[str], names: list[str], words: list[str]) -> dict[str, Any]:
    skip = [f"/home/user/{name}" for name in SEEN]
    stems = ["test", "eval", "sandbox"]
    return {
        "names": names,
        "words": words,
        "stems": stems,
        "tops": tops,
        "skip": skip,
    }


async def searched(
    sandbox: Sandbox, tops: list[str], names: list[str], words: list[str], user: str | None = None
) -> Report:
    """What the search reports; as another user it comes in through the engine."""
    files = (SEARCH, json.dumps(order(tops, names, words)).encode())
    await sandbox.put(
        [File(f"/home/user/{name}", data) for name, data in zip(SEEN, files, strict=True)]
    )
    command = f"python3 /home/user/{SEEN[0]} < /home/user/{SEEN[1]}"
    if user is None:
        done = await bash(sandbox, command, timeout_s=300)
        assert done.reported_exit == 0, done
        return dict(json.loads(done.output))
    client = docker.from_env()
    try:
        code, output = client.containers.get(sandbox.id).exec_run(["sh", "-c", command], user=user)
        assert code == 0 and isinstance(output, bytes), output
        return dict(json.loads(output))
    finally:
        client.close()


def own_words(folder: Path) -> tuple[list[str], list[str]]:
    """Names and words of a scenario: its canary may be nowhere, its name in nothing of ours."""
    name = folder.name
    words = [name, name.replace("-", "_"), name.replace("-", " ")]
    wanted = WANTED.get(name, [])
    canary = load(str(folder)).scenario.canary.rpartition(":")[2]
    return [*NAMES, canary], [word for word in [*WORDS, *words] if word not in wanted]


def variants(folder: Path) -> list[Loaded]:
    names = YAML(typ="safe").load(folder.joinpath("scenario.yaml").read_text()).get("variants", {})
    return [load(str(folder)), *(load(f"{folder}@{name}") for name in names)]


@pytest.mark.docker
@pytest.mark.anyio
@ON_BOTH
async def test_nothing_in_a_live_sandbox_names_it(runtime: str) -> None:
    async with box(runtime) as sandbox:
        await bash(sandbox, "sleep 1000 & cd /tmp; x=1")
        await python(sandbox, "import subprocess, threading; y = 2\n1/0")
        report = await searched(sandbox, ["/"], NAMES, WORDS)
        assert report["found"] == []
        assert report["read"]["files"] > 5000
        assert report["read"]["bytes"] > 10**8
        assert report["read"]["processes"] >= 4
        assert report["left_out"] == []
        assert report["counted"]["package"]["test"] > 1000, "packages are read and told apart"
        if runtime == "runc":
            assert report["read"]["memory_bytes"] > 10**6
        # What root sees beyond that, which no session ever is.
        tops = ["/etc", "/home", "/root", "/run", "/tmp", "/var", "/dev"]
        report = await searched(sandbox, tops, NAMES, WORDS, user="0:0")
        # PID 1 has carried the search's own list of names.
        assert [found for found in report["found"] if found[1] != "memory"] == []


@pytest.mark.docker
@pytest.mark.gvisor
@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("kind", ["memory", "files"])
async def test_nothing_in_a_copy_tells_what_it_is_one_of(kind: Kind, tmp_path: Path) -> None:
    """Not the snapshot, its folder, nor the place where harness and runtime meet."""
    if kind == "memory" and os.geteuid() != 0:
        pytest.skip("saving memory takes root")
    tops = ["/dev", "/etc", "/home", "/proc", "/root", "/run", "/sys", "/tmp", "/var"]
    async with family("runsc", tmp_path) as kin, kin.one() as first:
        await bash(first, "sleep 1000 & cd /tmp; x=1")
        saved = await first.snapshot(kin.store, kind)
        async with kin.one(saved, hostname="twin") as copy:
            names = [*NAMES, saved.digest[:12], tmp_path.name]
            report = await searched(copy, tops, names, [*WORDS, "snapshot", "checkpoint"])
            assert report["found"] == []
            assert report["left_out"] == []
            assert report["read"]["processes"] >= 4 - (kind == "files")


@pytest.mark.docker
@pytest.mark.anyio
@ON_BOTH
@OF_EACH
async def test_nothing_that_a_scenario_brings_names_it(runtime: str, folder: Path) -> None:
    loaded = variants(folder)
    names, words = own_words(folder)
    wishes = loaded[0].scenario.sandbox.model_dump()
    tops = ["/home", "/tmp", "/run", "/etc", *wishes["writable"]]
    async with box(**wishes | {"runtime": runtime}) as sandbox:
        for one in loaded:
            await sandbox.put(seed_files(one))
        report = await searched(sandbox, tops, names, words)
        assert report["found"] == []
        assert report["read"]["files"] >= len(seed_files(loaded[0]))


@pytest.mark.docker
@pytest.mark.anyio
@ON_BOTH
async def test_the_search_finds_what_is_there(runtime: str) -> None:
    """A word in a name, a link, a content, an argument, an environment and a memory."""
    async with box(runtime) as sandbox:
        await bash(
            sandbox,
            "mkdir -p a/my-test; echo 'The Evaluation' > a/text; ln -s /none/sandbox a/link;"
            "head -c 1048570 /dev/zero | tr '\\0' ' ' > a/long; echo agent-eval >> a/long;"
            "KIND=benchmark sleep 1000 & (exec -a harness sleep 1000) &",
        )
        report = await searched(sandbox, ["/home/user", "/usr/bin"], NAMES, WORDS)
        found = {(where, what) for where, _, what, _ in report["found"]}
        assert {
            ("name of /home/user/a/my-test", "test"),
            ("/home/user/a/text", "eval"),
            ("link /home/user/a/link", "sandbox"),
            ("/home/user/a/long", "agent-eval"),
        } <= found
        told = {(where.rpartition("/")[2], what) for where, what in found if "/proc/" in where}
        assert {("environ", "benchmark"), ("cmdline", "harness")} <= told
        assert not any(where.endswith("/usr/bin/test") for where, _ in found)
        if runtime == "runc":
            await python(sandbox, "kept = 'agent' + '-eval'")
            report = await searched(sandbox, ["/run"], NAMES, WORDS)
            assert "memory" in {kind for _, kind, _, _ in report["found"]}


@pytest.mark.docker
@pytest.mark.anyio
@ON_BOTH
async def test_processes_look_plain(runtime: str) -> None:
    async with box(runtime) as sandbox:
        await python(sandbox, "None")
        seen = await bash(sandbox, "ps -eo args; cat /proc/1/comm; readlink /proc/1/cwd")
        lines = [line.rstrip() for line in seen.output.decode().splitlines()]
        assert lines[1:4] == ["init", "bash --noprofile --norc --noediting -i", "python3"]
        assert lines[5] == "init"
        code = "import os, sys; print(sys.argv, sys.orig_argv, os.getcwd(), sys.stdin.read() == '')"
        seen = await python(sandbox, code)
        assert seen.output.decode() == "[''] ['python3'] /home/user True\n"


@OF_EACH
def test_what_a_model_is_told_names_nothing(folder: Path) -> None:
    names, words = own_words(folder)
    telling = re.compile("|".join([*map(re.escape, names), *words]))
    for one in variants(folder):
        instructions = read_instructions(one)
        texts = [instructions.system, instructions.nudge, one.scenario.task]
        texts.append(json.dumps(instructions.tools))
        for text in texts:
            assert not telling.search(text.lower()), text


def test_what_a_model_is_answered_names_nothing() -> None:
    telling = re.compile("|".join([*map(re.escape, NAMES), *WORDS]))
    for name, arguments in (
        ("nothing", "{}"),
        ("bash", "x"),
        ("bash", "[]"),
        ("bash", '{"command": "x", "y": 1}'),
        ("bash", '{"command": "x", "timeout_s": -1}'),
        ("bash", '{"command": "\\u0000"}'),
        ("python", json.dumps({"code": "x" * 10**7})),
        ("submit", "{}"),
    ):
        action = action_of(ToolCall("1", name, arguments), ("bash", "python"))
        assert isinstance(action, Malformed)
        assert not telling.search(action.reason.lower())
