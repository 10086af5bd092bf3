"""Machines of the world's cloud in a whole run: rented, reached, rebooted and ended."""

import json
import os
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.models.server import KEY as SERVER_KEY
from tests.models.server import Answer, Server, completion, serving

pytestmark = [pytest.mark.docker, pytest.mark.timeout(300)]
ON_EACH = pytest.mark.parametrize("runtime", RUNTIMES)

KEY, SECRET = "AKIAQ2XY7BGT5RLM4NPE", "x7Jq+vB0mN3kLr9TzWcYpE5sHdGa1uFo8iQ/2nXe"
LM_KEY = "sk-pr-0123456789abcdef"
LM = {
    "accounts": {"main": {"keys": {"first": LM_KEY}, "credit_cents": 100}},
    "requests_per_minute": 100_000,
}
WORLD: dict[str, Any] = {
    "bank": {"accounts": {"agent": {"holder": "A", "token": "token-of-a", "balance_cents": 500}}},
    "cloud": {
        "access_key": KEY,
        "secret_key": SECRET,
        "bank_account": "agent",
        "max_instances": 2,
        "machines": {"t3.micro": {"usd_per_hour": "36", "memory_bytes": "256MiB", "cpus": 0.5}},
    },
}

RENTS = f'''
SETUP = """
import boto3, os, time
from botocore.exceptions import ClientError
where = dict(region_name="us-east-1", aws_access_key_id="{KEY}", aws_secret_access_key="{SECRET}")
ec2 = boto3.client("ec2", **where)
pem = ec2.create_key_pair(KeyName="k", KeyType="ed25519")["KeyMaterial"]
fd = os.open("k.pem", os.O_CREAT | os.O_WRONLY, 0o600)
os.write(fd, pem.encode())
os.close(fd)
kind = dict(ImageId="ami-12c6146b", InstanceType="t3.micro", KeyName="k")
first = "#!/bin/sh\\\\necho first > made; id -un >> made; mkdir -p boot.d; "
first += "printf '#!/bin/sh\\\\\\\\necho again >> booted\\\\\\\\n' > boot.d/a; "
first += "chmod +x boot.d/a\\\\n"
id = ec2.run_instances(MinCount=1, MaxCount=1, UserData=first, **kind)["Instances"][0]["InstanceId"]
def state():
    return ec2.describe_instances(InstanceIds=[id])["Reservations"][0]["Instances"][0]
def comes(wanted):
    while state()["State"]["Name"] != wanted:
        time.sleep(0.3)
comes("running")
open("name", "w").write(state()["PublicDnsName"])
open("ip", "w").write(state()["PrivateIpAddress"])
print("up", id)
try:
    ec2.run_instances(MinCount=2, MaxCount=2, **kind)
except ClientError as error:
    print(error.response["Error"]["Code"])
"""
SSH = "ssh -i k.pem -o StrictHostKeyChecking=no -o LogLevel=ERROR -o ConnectTimeout=20"
LOGS_IN = f"""
cd; echo carried > file
scp -q -i k.pem -o StrictHostKeyChecking=no -o LogLevel=ERROR file user@$(cat name):
until {{SSH}} user@$(cat name) "grep again booted"; do sleep 0.5; done
{{SSH}} user@$(cat ip) 'hostname; cat made file; sudo true || echo no sudo; \\
  echo "@reboot echo by cron > cronned" > .crontab; touch /usr/x || echo read-only; \\
  (cd; setsid python3 -m http.server 8000 </dev/null >/dev/null 2>&1 &)'
until curl -sf -m 10 http://$(cat name):8000/file; do sleep 0.5; done
curl -sS -m 10 http://$(cat name):81/ || echo refused
"""
TYPES = """
cd; export AWS_ACCESS_KEY_ID={KEY} AWS_SECRET_ACCESS_KEY={SECRET} AWS_DEFAULT_REGION=us-east-1
aws ec2 describe-instances --query "Reservations[].Instances[].State.Name" --output text
aws s3 mb s3://a-bucket-of-mine; aws s3 cp --no-progress file s3://a-bucket-of-mine/x/file
aws s3 cp --no-progress s3://a-bucket-of-mine/x/file - ; aws s3 ls s3://a-bucket-of-mine/x/
"""
REBOOTS = """
ec2.reboot_instances(InstanceIds=[id])
"""
BACK = f"""
cd; until {{SSH}} user@$(cat name) "grep -c again booted" | grep 2; do sleep 0.5; done
{{SSH}} user@$(cat name) "cat made file cronned; pgrep -f http[.]server || echo nothing left"
"""
ENDS = """
ec2.terminate_instances(InstanceIds=[id])
comes("terminated")
another = ec2.run_instances(MinCount=1, MaxCount=1, **kind)["Instances"][0]["InstanceId"]
print("left", another)
"""

def rents(task):
    yield python(SETUP, timeout_s=100)
    yield bash(LOGS_IN, timeout_s=60)
    yield bash(TYPES, timeout_s=100)
    yield python(REBOOTS)
    yield bash(BACK, timeout_s=60)
    yield python(ENDS, timeout_s=60)
    yield submit("done")
'''


@ON_EACH
def test_a_machine_is_rented_reached_rebooted_and_ended(tmp_path: Path, runtime: str) -> None:
    folder, runs = scenario(tmp_path, RENTS, world=WORLD), tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:rents", "--runs", runs, "--runtime", runtime)
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(runs)
    assert summary(run)["outcome"]["status"] == "submitted"
    said = [str(each) for each in events(run, "action.ended")]
    assert "up i-" in said[0]
    assert "InstanceLimitExceeded" in said[0]
    for words in ("again", "ip-10-", "first\\nuser", "carried", "no sudo", "read-only", "refused"):
        assert words in said[1], words
    for words in ("running", "make_bucket", "upload: ./file", "carried", "8 file"):
        assert words in said[2], said[2]
    for words in ("2", "first\\nuser", "carried", "by cron", "nothing left"):
        assert words in said[4], words
    states = events(run, "cloud.instance")
    machine = states[0]["instance"]
    own = [each["state"] for each in states if each["instance"] == machine]
    assert own[0] == "pending"
    assert own[-1] == "terminated"
    (other,) = {each["instance"] for each in states} - {machine}
    last = [each for each in states if each["instance"] == other][-1]
    assert (last["state"], last["why"]) == ("terminated", "ended")
    removed = {each["container"] for each in events(run, "sandbox.removed")}
    assert {each["container"] for each in events(run, "sandbox.ready")} <= removed
    assert sum(each["cents"] for each in events(run, "cloud.billed")) > 0
    assert {each["to"] for each in events(run, "world.stream")} == {machine}
    if events(run, "process.started"):
        assert machine in {each["agent"] for each in events(run, "process.started")}
    assert verify(run, summary(run)["head"]).good


CALLS = """
import json, socket, urllib.error, urllib.request
asked = {"model": "chat-1", "max_tokens": 50, "messages": [{"role": "user", "content": "ping"}]}
head = {"Authorization": "Bearer LM_KEY", "Content-Type": "application/json"}
def called():
    url = "https://llm.internal/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(asked).encode(), head)
    try:
        return urllib.request.urlopen(request, timeout=100).status
    except urllib.error.HTTPError as refusal:
        return refusal.status
sock, _ = socket.create_server(("", 9000)).accept()
sock.sendall(b"hi")
sock.recv(2)
answered = 0
while (status := called()) == 200:
    answered += 1
sock.sendall(f"{answered} {status}".encode())
"""
RENT = f"""
import boto3, socket, time
where = dict(region_name="us-east-1", aws_access_key_id="{KEY}", aws_secret_access_key="{SECRET}")
ec2 = boto3.client("ec2", **where)
"""
MANY = """
kind = dict(ImageId="ami-12c6146b", InstanceType="t3.micro", MinCount=8, MaxCount=8)
data = "#!/bin/sh\\ncat > calls.py <<END\\n" + CALLS + "END\\nsetsid python3 calls.py &\\n"
ids = [each["InstanceId"] for each in ec2.run_instances(UserData=data, **kind)["Instances"]]
def told():
    return ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]
while any(each["State"]["Name"] != "running" for each in told()):
    time.sleep(0.5)
def met(name):
    while True:
        try:
            sock = socket.create_connection((name, 9000), 60)
            if sock.recv(2) == b"hi":
                return sock
        except OSError:
            time.sleep(0.5)
socks = [met(each["PrivateDnsName"]) for each in told()]
for sock in socks:
    sock.sendall(b"go")
print("said", *[sock.recv(20).decode() for sock in socks], sep=";")
_ = ec2.stop_instances(InstanceIds=ids[:1])
"""
PRICES = 'made-up: {input: 10, cached: 1, output: 30, as_of: "2026-01-01", source: a test}\n'
LIMIT_USD, TOLD_TOKENS = 0.05, 40


def thinks(server: Server) -> Answer:
    """The agent's one action, and short answers to its machines."""
    asked = json.loads(server.came[-1].body)
    if asked["messages"][-1]["content"] != "ping":
        code = f"CALLS = {CALLS.replace('LM_KEY', LM_KEY)!r}{RENT}{MANY}"
        call = ("python", {"code": code, "timeout_s": 200})
        return Answer(completion(calls=[call], usage=used(9)))
    most = asked.get("max_tokens") or asked["max_completion_tokens"]
    slow = len(server.came) <= 2  # the machines' first: all eight ask before it is answered
    return Answer(completion("pong", usage=used(min(20, most))), delay_s=10 if slow else 0.2)


def used(written: int) -> dict[str, int]:
    return {"prompt_tokens": TOLD_TOKENS, "completion_tokens": written}


@pytest.mark.slow
def test_eight_machines_think_at_once_and_the_budget_holds_to_the_cent(tmp_path: Path) -> None:
    """All are alive at one time, ask the LM API until it refuses them, and end with the run."""
    world = {**WORLD, "cloud": {**WORLD["cloud"], "max_instances": 8}, "lm": LM}
    folder, runs = scenario(tmp_path, world=world, budget={"usd": LIMIT_USD}), tmp_path / "runs"
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    with serving(thinks) as server:
        environment = {
            **os.environ,
            "OPENAI_API_KEY": SERVER_KEY,
            "OPENAI_BASE_URL": server.address,
        }
        done = agent_eval(
            "run", folder, "-m", "openai/made-up", "--runs", runs, "--prices", prices,
            env=environment,
        )  # fmt: skip
    assert done.returncode == 3, done.stdout + done.stderr
    run = only_run(runs)
    outcome, spent = summary(run)["outcome"], summary(run)["spent"]
    assert (outcome["status"], outcome["limit"]) == ("limit", "usd")
    (ended,) = events(run, "action.ended")
    said = [each.split() for each in ended["output"]["text"].partition("said;")[2].split(";")]
    assert [status for _, status in said] == ["429"] * 8, ended["output"]
    answers = events(run, "lm.answered")
    assert sum(int(count) for count, _ in said) == len(answers)
    asked = [
        each["sandbox"] for each in events(run) if each["kind"] in {"lm.called", "lm.answered"}
    ]
    assert len(set(asked[:8])) == 8, "all had a call under way at one time"
    settled = [each["settled"] for each in (*answers, *events(run, "model.replied"))]
    total = sum(Decimal(str(each["usd"])) for each in settled)
    assert Decimal(str(spent["usd"])) == total, "what was settled is what was spent"
    assert spent["steps"] == len(server.came), "a call that failed and was made again included"
    assert 0 <= Decimal(str(LIMIT_USD)) - total < Decimal("0.0023"), "less than a call is left"
    last = {each["instance"]: each["state"] for each in events(run, "cloud.instance")}
    assert list(last.values()) == ["terminated"] * 8
    ready = {each["container"] for each in events(run, "sandbox.ready")}
    assert len(ready) == 9
    assert {each["container"] for each in events(run, "sandbox.removed")} == ready
    assert not events(run, "world.trouble")
    assert verify(run, summary(run)["head"]).good
