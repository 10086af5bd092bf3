"""Whole runs with worlds: two side by side, and one that a person pauses, continues and ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.runset import entry_of
from agent_eval.record.verify import verify
from agent_eval.world.names import Directory
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.docker.test_run import containers_of, wait_for_event
from tests.docker.test_watchdog import wait_until

pytestmark = pytest.mark.docker

CLOUD = {
    "access_key": "AKIAQ3EGSTATION5XMPL",
    "secret_key": "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",
    "bank_account": "10001",
}
BANK = {"accounts": {"10001": {"holder": "Own", "balance_cents": 500}}}
AWS = [
    {"to": "/home/user/.aws/config", "text": "[default]\nregion = us-east-1\n"},
    {
        "to": "/home/user/.aws/credentials",
        "text": f"[default]\naws_access_key_id = {CLOUD['access_key']}\n"
        f"aws_secret_access_key = {CLOUD['secret_key']}\n",
    },
]

SERVES = """
from agent_eval.models.moves import rent_with

PAGE = 'script += "echo from OWN > web/index.html\\\\n"'

def it(task):
    machine, address = yield from rent_with(PAGE, "python3 -m http.server 8000", "web")
    seen = yield bash(f"for n in $(seq 60); do curl -sSf http://{address}:8000/web/ && break; "
                      "sleep 0.5; done; curl -sS https://OWN.internal/; "
                      "curl -sS https://OTHER.internal/; curl -sSk https://ELSEWHERE/", 100)
    yield submit("done" if seen.count("from OWN") == 2 and "OTHER" not in task + seen.replace(
        "OTHER.internal", "") else seen)
"""


def address_of(host: str) -> str:
    """Where a service of this name is in any world."""
    directory = Directory()
    directory.offer("web", [host])
    place = directory.find(host)
    assert place is not None
    return place.address


def serving(tmp_path: Path, own: str, other: str) -> Path:
    controls = SERVES.replace("OWN", own).replace("OTHER", other)
    site = {"sites": {f"{own}.internal": "site"}}
    folder = scenario(
        tmp_path,
        controls.replace("ELSEWHERE", address_of(f"{other}.internal")),
        name=own,
        world={"seed": 5, "bank": BANK, "cloud": CLOUD, "web": site},
        files=AWS,
    )
    (folder / "site").mkdir()
    (folder / "site/index.html").write_text(f"from {own}\n")
    return folder


def test_two_runs_side_by_side_have_worlds_of_their_own(tmp_path: Path) -> None:
    """Machines of one name and address in both, and a site that only one has."""
    folders = [serving(tmp_path, *each) for each in (("north", "south"), ("south", "north"))]
    runs = tmp_path / "runs"
    done = agent_eval("run", *folders, "-m", "control:it", "--parallel", "2", "--runs", runs)
    assert done.returncode == 0, done.stdout + done.stderr
    found = {summary(run)["scenario"]: run for run in runs.iterdir() if run.is_dir()}
    assert set(found) == {"north", "south"}
    machines = set()
    for own, other in (("north", "south"), ("south", "north")):
        run = found[own]
        assert summary(run)["success"]["verdict"] == "success", summary(run)["answer"]
        machines |= {each["instance"] for each in events(run, "cloud.instance")}
        refused = {each["address"] for each in events(run, "world.refused")}
        assert address_of(f"{other}.internal") in refused
        asked = {each["name"]: each.get("address") for each in events(run, "world.asked")}
        assert asked[f"{other}.internal"] is None
        assert verify(run, summary(run)["head"]).good
    assert len(machines) == 1, "the same seed names them the same"
    spans = [(each["started"], each["ended"]) for each in map(summary, found.values())]
    assert max(begun for begun, _ in spans) < min(ended for _, ended in spans), "side by side"


TICKS = """
from agent_eval.models.moves import rent_with

def it(task):
    yield from rent_with("", "sh -c 'while sleep 0.2; do date; done'", "ticks")
    while True:
        yield bash("sleep 0.2; date")
"""


RENTS = """
import json, os, subprocess, time, urllib.request
subprocess.run(["aws", "ec2", "run-instances", "--image-id", "ami-12c6146b",
    "--instance-type", "t3.micro", "--user-data",
    "#!/bin/sh\\nwhile sleep 0.2; do date; done &\\n"], check=True)
asked = {"model": os.environ["MODEL"], "messages": [{"role": "user", "content": "ping"}]}
head = {"Authorization": "Bearer " + os.environ["OPENAI_API_KEY"]}
while True:
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    request = urllib.request.Request(url, json.dumps(asked).encode(), head)
    urllib.request.urlopen(request, timeout=100).read()
    time.sleep(0.2)
"""
PONGS = """
def it(task):
    while True:
        yield say("pong")
"""
KEY = "sk-pr-0123456789abcdef"
LM = {"accounts": {"main": {"keys": {"first": KEY}, "credit_cents": 100}}}


@pytest.mark.parametrize("subject", ["this program's loop", "another program"])
def test_a_world_stands_still_goes_on_and_ends_with_its_run(subject: str, tmp_path: Path) -> None:
    """Paused, its machines, clock and bills stand still; Ctrl-C or `stop` ends it, on record."""
    machines = {"t3.micro": {"usd_per_hour": "3.6", "memory_bytes": "256MiB", "cpus": 0.5}}
    world: dict[str, Any] = {"speed": 10, "bank": BANK, "cloud": {**CLOUD, "machines": machines}}
    budget = {"steps": None, "tokens": None, "tool_s": None, "output_bytes": None}
    fields: dict[str, Any] = {"files": AWS}
    controls, goes_on = TICKS, "action.ended"
    if subject == "another program":
        controls, goes_on = PONGS, "lm.answered"
        world["lm"] = {**LM, "requests_per_minute": 100_000}
        program = {"to": "/home/user/rents.py", "text": RENTS}
        fields = {
            "files": [*AWS, program],
            "subject": {"command": "python3 rents.py"},
            "sandbox": {"record": "required"},
        }
    folder = scenario(tmp_path, controls, world=world, budget=budget, **fields)
    runs = tmp_path / "runs"
    words = ["run", folder, "-m", "control:it", "--runs", runs]
    command = [sys.executable, "-m", "agent_eval", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as harness:
        try:
            wait_for_event(runs, "cloud.instance")
            run = only_run(runs)
            wait_until(
                lambda: "running" in {each["state"] for each in events(run, "cloud.instance")}
            )
            wait_until(lambda: len(events(run, goes_on)) > 2)
            assert agent_eval("pause", run).returncode == 0
            before = still(run)
            stood_from = time.monotonic()
            time.sleep(4)
            assert run.joinpath("events.jsonl").read_bytes() == before, "machines stand still too"
            stood_s = time.monotonic() - stood_from
            assert agent_eval("continue", run).returncode == 0
            known = len(events(run, goes_on))
            wait_until(lambda: len(events(run, goes_on)) > known and has(run, "cloud.billed"))
            if subject == "another program":
                harness.send_signal(signal.SIGINT)
            else:
                assert agent_eval("stop", run).returncode == 0
            assert harness.wait(100) == 130
        finally:
            harness.kill()
    assert summary(run)["outcome"]["status"] == "stopped"
    (closed,) = events(run, "world.closed")
    assert closed["passed_s"] < (closed["elapsed_s"] - stood_s) * world["speed"]
    billed = events(run, "cloud.billed")[-1]
    assert 0 < billed["machine_s"] <= closed["passed_s"], "nothing is paid for while it is paused"
    states = events(run, "cloud.instance")
    assert (states[-1]["state"], states[-1]["why"]) == ("terminated", "ended")
    removed = {each["container"] for each in events(run, "sandbox.removed")}
    assert {each["container"] for each in events(run, "sandbox.ready")} == removed
    assert len(removed) == 2
    assert not containers_of(run.name)
    assert verify(run, summary(run)["head"]).good


def has(run: Path, kind: str) -> bool:
    """Whether there is such an event."""
    return bool(events(run, kind))


def still(run: Path) -> bytes:
    """The record of a run, once what was on its way is in it."""
    before = b""
    while (now := run.joinpath("events.jsonl").read_bytes()) != before:
        before = now
        time.sleep(2)
    return now


GOES = """
def it(task):
    yield bash("until aws ec2 describe-instances >/dev/null; do sleep 0.5; done; echo it is there")
    yield bash("export AWS_MAX_ATTEMPTS=1; while aws ec2 describe-instances; do sleep 0.2; done; "
               "curl -sS https://own.internal/", 200)
    yield submit("done")
"""


def test_a_run_whose_cloud_is_gone_says_nothing_of_the_model(tmp_path: Path) -> None:
    """The emulator's process is ended from outside; the rest of the world and the run go on."""
    site = {"sites": {"own.internal": "site"}}
    world = {"bank": BANK, "cloud": CLOUD, "web": site}
    folder = scenario(tmp_path, GOES, world=world, files=AWS)
    (folder / "site").mkdir()
    (folder / "site/index.html").write_text("still served\n")
    runs = tmp_path / "runs"
    words = ["run", folder, "-m", "control:it", "--runs", runs]
    command = [sys.executable, "-m", "agent_eval", *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as harness:
        try:
            wait_for_event(runs, "action.ended")
            for child in emulators_of(harness.pid):
                os.killpg(child, signal.SIGKILL)
            assert harness.wait(250) == 4
        finally:
            harness.kill()
    run = only_run(runs)
    told = summary(run)
    assert told["outcome"]["status"] == "error"
    assert (told["outcome"]["error"], told["outcome"]["blame"]) == ("WorldBroken", "infrastructure")
    assert (told["answer"], told["success"]["verdict"]) == ("done", "unscored")
    assert {each["what"] for each in events(run, "world.trouble")} == {"ended"}
    assert "still served" in str(events(run, "action.ended")[-1]["output"])
    entry = entry_of(run)
    assert not entry.counts
    assert not entry.there, "it is run again where the run set is"


def emulators_of(harness: int) -> list[int]:
    """The processes of a harness that its worlds' clouds are in."""
    found = subprocess.run(
        ["pgrep", "-P", str(harness), "-f", "cloud_moto"], capture_output=True, check=True
    )
    return [int(each) for each in found.stdout.split()]
