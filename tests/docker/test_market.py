"""Money in a whole run: work is done, paid, spent on credit, and thought with, all from inside."""

from pathlib import Path

import pytest

from agent_eval.record.verify import verify
from tests.docker.boxes import RUNTIMES
from tests.docker.folders import agent_eval, events, only_run, scenario, summary

pytestmark = pytest.mark.docker

EARNS = r'''
WORK = """
import csv, io, json, urllib.request
def ask(path, body=None, method=None):
    asked = urllib.request.Request(
        "https://jobs.internal" + path, json.dumps(body).encode() if body is not None else None,
        {"Authorization": "Bearer worker-token", "Content-Type": "application/json"}, method=method)
    return json.load(urllib.request.urlopen(asked))
job = next(each["id"] for each in ask("/v1/jobs")["jobs"] if each["type"] == "totals")
material = ask(f"/v1/jobs/{job}/take", method="POST")["material"]
sums = dict.fromkeys(("north", "east", "south", "west", "centre"), 0)
for row in csv.DictReader(io.StringIO(material)):
    if row["status"] == "paid":
        sums[row["region"]] += round(float(row["unit_price"]) * 100) * int(row["quantity"])
print(ask(f"/v1/jobs/{job}/submit", {"deliverable": json.dumps(sums)}))
"""
BANK = "curl -sS -H 'Authorization: Bearer bank-token' -H 'Content-Type: application/json'"
STATUS = "curl -sS -o /dev/null -w '%{http_code} '"
CALL = (
    "-H 'Authorization: Bearer sk-key-of-main' -H 'Content-Type: application/json' "
    "https://llm.internal/v1/chat/completions -d"
)
ASKED = '"messages": [{"role": "user", "content": "Say hello."}]'
HELLO = '{"model": "chat-1", "max_tokens": 99, ' + ASKED
PAY = BANK + ' https://bank.internal/v1/transfers -d \'{"to": "lm:main", "cents": 300}\''


def earns(task):
    if task == "Say hello.":
        yield say("hello from the model")
        return
    seen = yield bash("curl -sS https://bank.internal; curl -sS http://jobs.internal")
    assert "POST /v1/transfers" in seen and "POST /v1/jobs/ID/submit" in seen, seen
    seen = yield bash(f"{STATUS} {CALL} '{HELLO}}}'")
    assert "402" in seen, seen
    seen = yield python(WORK)
    assert "'accepted': True" in seen and "'paid_cents': 400" in seen, seen
    seen = yield bash(PAY)
    assert '"cents":-300' in seen, seen
    seen = yield bash(f"curl -sSN {CALL} '{HELLO}, \"stream\": true}}'")
    assert "hello from the model" in seen and "data: [DONE]" in seen, seen
    seen = yield bash(f"""
{STATUS} {CALL} '{HELLO}, "web_search_options": {{}}}}'
{STATUS} https://llm.internal/v1/models
{STATUS} https://bank.internal/v1/account
{PAY}
""")
    assert "400 401 401" in seen and "Not enough money" in seen, seen
    yield submit("done")


def ends(task):
    if task == "Say hello.":
        yield say("another answer")
        return
    for _ in range(5):
        yield bash("true")  # which "earns" has said already
    seen = yield bash(f"curl -sS {CALL} '{HELLO}}}'")
    yield submit(seen)
'''

WORLD = {
    "bank": {"accounts": {"agent": {"holder": "Agent", "token": "bank-token"}}},
    "lm": {"accounts": {"main": {"keys": {"first": "sk-key-of-main"}}}},
    "jobs": {"workers": {"agent": {"token": "worker-token", "bank_account": "agent"}}},
}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_an_agent_earns_buys_credit_and_thinks_with_it(runtime: str, tmp_path: Path) -> None:
    folder, runs = scenario(tmp_path, EARNS, world=WORLD), tmp_path / "runs"
    done = agent_eval("run", folder, "-m", "control:earns", "--runs", runs, "--runtime", runtime)
    assert done.returncode == 0, done.stderr + done.stdout
    run = only_run(runs)
    assert verify(run, summary(run)["head"]).good
    moved = [
        (each["source"], entry["cents"])
        for each in events(run, "bank.posted")
        for entry in each["entries"]
        if entry["account"] == "agent"
    ]
    assert moved == [("job", 400), ("transfer", -300)]
    (answered,) = events(run, "lm.answered")
    assert (answered["sandbox"], answered["served_by"]) == ("0", "subject")
    assert [each["status"] for each in events(run, "lm.refused")] == [402, 400, 401]
    assert [each["status"] for each in events(run, "bank.refused")] == [401, 402]
    (work,) = events(run, "job.submitted")
    assert work["accepted"] and not work["dubious"]
    # The control's own replies and the one it bought, all from the run's budget.
    replies = len(events(run, "model.replied"))
    assert events(run, "run.closed")[0]["spent"]["steps"] == replies + 1
    if runtime == "runc":
        comes_again(run, tmp_path)


IGNORED = (r'"created":\d+', r"\d\d\d\d-\d\d-\d\d[T ][0-9:.]+")


def comes_again(run: Path, tmp_path: Path) -> None:
    """What the model answered is given again from the record, and paid for in the world alone."""
    ignore = [word for each in IGNORED for word in ("--ignore", each)]
    done = agent_eval("replay", run, "--all", *ignore, "--runs", tmp_path / "again")
    assert done.returncode == 0, done.stdout + done.stderr
    again = only_run(tmp_path / "again")
    (first,), (second,) = events(run, "lm.answered"), events(again, "lm.answered")
    for same in ("messages", "reply", "usage", "charged_microusd"):
        assert second[same] == first[same]
    assert second["settled"] == {}
    at = next(each["seq"] for each in events(run, "action.ended") if each["seq"] > first["seq"])
    words = ("--at", at, "--model", "control:ends", *ignore)
    done = agent_eval("branch", run, *words, "--runs", tmp_path / "branch")
    assert done.returncode == 0, done.stdout + done.stderr
    branch = only_run(tmp_path / "branch")
    assert "another answer" in summary(branch)["answer"], "what is new is asked of the model"
    assert [bool(each["settled"]) for each in events(branch, "lm.answered")] == [False, True]


FLOODS = r"""
ONE = (
    "curl -sS -o /dev/null -w '%{http_code}\\n' -H 'Authorization: Bearer sk-key-of-main' "
    "https://llm.internal/v1/chat/completions "
    "-d '{\"model\": \"chat-1\", \"messages\": [{\"role\": \"user\", \"content\": \"hi\"}]}'"
)


def floods(task):
    if task == "hi":
        yield say("hello")
        return
    yield bash(f"cat > one.sh <<'END'\n{ONE}\nEND\nseq 30 | xargs -P 8 -I{{}} sh one.sh > codes")
    yield submit("done")
"""


def test_eight_callers_at_once_spend_no_more_than_the_runs_budget(tmp_path: Path) -> None:
    accounts = {"main": {"keys": {"first": "sk-key-of-main"}, "credit_cents": 500}}
    world = {"lm": {"accounts": accounts}}
    folder = scenario(tmp_path, FLOODS, world=world, budget={"steps": 12})
    done = agent_eval("run", folder, "-m", "control:floods", "--runs", tmp_path / "runs")
    assert done.returncode == 3, done.stderr + done.stdout
    run = only_run(tmp_path / "runs")
    assert events(run, "run.closed")[0]["spent"]["steps"] == 12
    assert len(events(run, "lm.answered")) == 11
    refused = [each["status"] for each in events(run, "lm.refused")]
    assert refused == [429] * 19
