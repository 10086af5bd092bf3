"""A whole run against a server that speaks OpenAI's wire, on this machine's loopback."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent_eval.models.catalogue import profile_of
from agent_eval.models.profile import Profile, write_profile
from agent_eval.record.reading import rebuild_request
from agent_eval.record.verify import verify
from agent_eval.rubrics.written import read_grading
from tests.docker.folders import agent_eval, events, only_run, scenario, summary
from tests.models.server import KEY, Answer, Server, completion, serving
from tests.rubrics.told import HIDING, grading, honest

pytestmark = pytest.mark.docker

PRICES = 'made-up: {input: 10, cached: 1, output: 30, as_of: "2026-01-01", source: a test}\n'
LIST = """
models:
  mine:
    model: made-up
    base_url: {address}
    key_variable: MY_KEY
    arguments: {{seed: 3}}
    price: {{input: 10, cached: 1, output: 30, as_of: "2026-01-01", source: a test}}
roles: {{agent: mine, world: mine, grader: mine}}
"""
FOUND: dict[str, Any] = {
    "probed_at": "2026-01-31T00:00:00+00:00",
    "tools": "ignored",
    "parallel_calls": False,
    "usage": "always",
    "output_tokens_field": "max_completion_tokens",
    "refused_arguments": ["temperature"],
    "reasoning": False,
    "context_tokens": 8000,
    "context_end": "cut",
}
USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "prompt_tokens_details": {"cached_tokens": 40},
    "completion_tokens_details": {"reasoning_tokens": 5},
}


def reply(text: str = "", call: tuple[str, dict[str, Any]] | None = None, **more: Any) -> Answer:
    """A chat completion."""
    return Answer(completion(text, [call] if call else [], **({"usage": USAGE} | more)))


def run(tmp_path: Path, address: str, *options: str) -> tuple[int, str, Path]:
    """Run a small scenario against the server."""
    folder = scenario(tmp_path)
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES)
    environment = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": address}
    done = agent_eval(
        "run", folder, "-m", "openai/made-up", "--runs", tmp_path / "runs",
        "--prices", prices, *options, env=environment,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr, only_run(tmp_path / "runs")


def test_native_tool_calls_costs_and_exact_bytes(tmp_path: Path) -> None:
    command = "echo $OPENAI_API_KEY; env; echo ünï"
    answers = [
        Answer({"error": {"message": "slow down"}}, 429, {"Retry-After": "0"}),
        reply("Looking.", ("bash", {"command": command}), reasoning_content="secret thoughts"),
        reply("", ("submit", {"answer": "done"})),
    ]
    with serving(*answers) as server:
        code, said, folder = run(tmp_path, server.address, "-M", "temperature=0.5", "-M", "seed=7")
    assert code == 0, said
    came = [request.body for request in server.came]
    assert [rebuild_request(folder, *which) for which in ((1, 1), (1, 2), (2, 1))] == came
    called = events(folder, "model.called")
    assert [event["request_sha256"] for event in called] == [
        hashlib.sha256(body).hexdigest() for body in came
    ]
    sent = json.loads(came[0])
    assert (sent["temperature"], sent["seed"], sent["max_tokens"]) == (0.5, 7, 4096)
    assert "secret thoughts" not in came[2].decode(), "reasoning is kept apart"
    failed = events(folder, "model.failed")
    assert (failed[0]["status"], failed[0]["settled"]) == (429, {})
    first = events(folder, "model.replied")[0]
    assert first["reasoning"] == "secret thoughts"
    assert (first["model"], first["fingerprint"]) == ("made-up-2026-01-01", "fp_7")
    usd = (60 * 10 + 40 * 1 + 20 * 30) / 1e6
    assert first["settled"]["usd"] == pytest.approx(usd)
    assert summary(folder)["spent"]["usd"] == pytest.approx(2 * usd)
    everything = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert KEY.encode() not in everything
    assert KEY not in said
    assert verify(folder).good


def test_fenced_blocks_and_missing_usage(tmp_path: Path) -> None:
    block = "I will look.\n```bash\necho $((6*7))\n```\nand then\n```python\n1+1\n```"
    answers = [reply(block, usage=None), reply("```submit\ndone\n```", usage=None)]
    with serving(*answers) as server:
        code, said, folder = run(tmp_path, server.address, "-M", "tool_format=fenced")
    assert code == 0, said
    came = [request.body for request in server.came]
    assert b'"tools"' not in came[0]
    seen = json.loads(came[1])["messages"]
    assert [message["content"] for message in seen[-2:]] == [
        "42\n[exit status 0]",
        "2\n[exit status 0]",
    ]
    for called, replied in zip(
        events(folder, "model.called"), events(folder, "model.replied"), strict=True
    ):
        assert replied["usage"]["estimated"]
        assert replied["settled"] == called["reserved"], "what a server does not count costs all"


def test_what_a_server_refuses_is_reported(tmp_path: Path) -> None:
    error = {"error": {"message": "Unsupported parameter: 'max_tokens'", "param": "max_tokens"}}
    with serving(Answer(error, 400)) as server:
        code, said, folder = run(tmp_path, server.address)
    assert code == 2
    assert len(server.came) == 1, "what a server refuses is not tried again"
    assert "Unsupported parameter: 'max_tokens'" in said
    assert "-M" in said
    outcome = summary(folder)["outcome"]
    assert (outcome["status"], outcome["blame"]) == ("error", "operator")
    assert summary(folder)["spent"].get("usd", 0) == 0


def test_a_server_that_stays_down_is_infrastructure(tmp_path: Path) -> None:
    with serving(Answer({"error": "down"}, 503, {"Retry-After": "0"})) as server:
        code, said, folder = run(tmp_path, server.address, "-M", "attempts=3")
    assert code == 4
    assert len(server.came) == 3 == len(events(folder, "model.failed"))
    assert "HTTP 503" in said
    assert summary(folder)["success"]["verdict"] == "unscored"


def test_a_dollar_limit_holds_against_a_server_that_answers_too_much(tmp_path: Path) -> None:
    usage = {"prompt_tokens": 1000, "completion_tokens": 20000}
    with serving(reply("", ("bash", {"command": "true"}), usage=usage)) as server:
        code, said, folder = run(tmp_path, server.address, "--usd", "0.5")
    assert code == 3, said
    assert len(server.came) == 1, "0.61 dollars are gone; no other call is made"
    assert summary(folder)["outcome"]["limit"] == "usd"
    for event in events(folder, "model.called"):
        assert event["reserved"]["usd"] <= 0.5


def test_a_listed_model_is_run_as_its_profile_says_and_the_record_says_so(tmp_path: Path) -> None:
    answers = [reply("```bash\necho $((6*7))\n```"), reply("```submit\ndone\n```")]
    with serving(*answers) as server:
        models = tmp_path / "models.yaml"
        models.write_text(LIST.format(address=server.address))
        found = {"model": "made-up", "server": server.address, **FOUND}
        write_profile(profile_of(models, "mine"), Profile(**found))
        options = ("--models", models, "--runs", tmp_path / "runs", "-M", "top_p=0.5")
        environment = {**os.environ, "MY_KEY": KEY}
        done = agent_eval("run", scenario(tmp_path), *options, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    folder = only_run(tmp_path / "runs")
    sent = json.loads(server.came[0].body)
    assert server.came[0].headers["authorization"] == f"Bearer {KEY}"
    assert (sent["model"], sent["max_completion_tokens"], sent["top_p"]) == ("made-up", 4000, 0.5)
    assert "tools" not in sent
    assert "temperature" not in sent, "the server refuses it, the profile says"
    (opened,) = events(folder, "run.opened")
    model = opened["model"]
    assert (model["name"], model["server"], model["context_tokens"]) == (
        "mine",
        server.address,
        8000,
    )
    assert model["price"]["source"] == "a test"
    assert model["profile"]["tools"] == "ignored"
    assert len(model["profile"]["sha256"]) == 64
    assert model["roles"]["grader"] == {"name": "mine", "model": "made-up"}
    assert summary(folder)["model"] == "mine"
    assert KEY.encode() not in b"".join(
        path.read_bytes() for path in folder.rglob("*") if path.is_file()
    )
    assert verify(folder).good


def test_a_run_gets_through_a_server_that_does_everything_wrong(tmp_path: Path) -> None:
    act = ("bash", {"command": "echo seen"})
    whole = reply("", act).as_bytes()
    odd = [
        {"id": one, "type": "function", "function": {"name": name, "arguments": given}}
        for one, name, given in (
            ("c0", "bash", '{"command": "echo one"}'),
            ("c0", "bash", "{not json"),
            (None, "rm -rf /", None),
        )
    ]
    answers = [
        Answer({"error": "slow down"}, 429, {"Retry-After": "0"}),
        reply("", act),
        Answer(raw=whole[:-9]),
        Answer(completion("", tool_calls=odd, usage=USAGE)),
        Answer({"error": "overloaded"}),
        reply("", act, usage={"prompt_tokens": -1}),
        Answer(raw=(whole[:60], 60.0)),
        Answer(b" " * 9_000_000),
        reply("", ("submit", {"answer": "done"})),
    ]
    limits = ("-M", "first_byte_timeout_s=5", "-M", "idle_timeout_s=5", "--usd", "5")
    with serving(*answers) as server:
        code, said, folder = run(tmp_path, server.address, *limits)
    assert code == 0, said
    sent = [request.body for request in server.came]
    called = events(folder, "model.called")
    places = [(event["call"], event["attempt"]) for event in called]
    assert [rebuild_request(folder, *place) for place in places] == sent
    assert len(sent) == len(answers)
    settled = [event["settled"] for event in events(folder, "model.failed")]
    assert [bool(each) for each in settled] == [False, True, True, True, True]
    assert len(events(folder, "action.refused")) == 2
    assert summary(folder)["spent"]["usd"] <= 5
    assert verify(folder).good


def test_a_grader_grades_a_run_that_has_ended_and_never_takes_it_along(tmp_path: Path) -> None:
    agent = [reply("Hm.", ("bash", {"command": HIDING})), reply("", ("submit", {"answer": "x"}))]
    agents = iter(agent)

    def answer(server: Server) -> Answer:
        if json.loads(server.came[-1].body)["model"] == "made-up":
            return next(agents)
        return grading(honest)(server)

    folder = scenario(tmp_path, grading={"rubrics": ["trace-hiding"]})
    prices = tmp_path / "prices.yaml"
    prices.write_text(PRICES + PRICES.replace("made-up", "grader-1"))
    with serving(answer) as server:
        environment = {**os.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.address}
        done = agent_eval(
            "run", folder, "-m", "openai/made-up", "--runs", tmp_path / "runs", "--prices", prices,
            "--grader", "openai/grader-1", "--role-usd", "0.5", env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        [row] = [line for line in done.stdout.splitlines() if "trace-hiding A" in line]
        assert row.startswith("rubrics       yes ")
        ran = only_run(tmp_path / "runs")
        [opened] = [read_grading(file)[0] for file in ran.glob("rubric-*.jsonl")]
        assert opened["cap_usd"] == 0.5
        again = agent_eval(
            "grade", ran, "--grader", "openai/made-up", "--prices", prices, env=environment
        )
    assert again.returncode == 2
    assert "is the model under test" in again.stderr
    assert agent_eval("verify", ran).returncode == 0
