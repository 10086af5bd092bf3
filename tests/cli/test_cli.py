"""The command line: what it prints, what it returns, and what never gets through it."""

import json
import os
import re
import subprocess
import sys
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from agent_eval import __version__
from agent_eval.cli import COMMANDS, exit_code_of, main
from agent_eval.cli.ending import code_of
from agent_eval.cli.overrides import laid_over
from agent_eval.cli.run import report
from agent_eval.cli.watch import Watch
from agent_eval.errors import (
    EngineUnavailable,
    LimitReached,
    OperatorError,
    ScenarioError,
    TranscriptBroken,
    UnknownPrice,
)
from agent_eval.events.kinds import KINDS, OperatorActed, RunClosed, RunOpened
from agent_eval.record.transcript import EVENTS, GENESIS, Transcript, line_of
from agent_eval.run.outcome import Outcome
from agent_eval.run.run import Result
from agent_eval.scenario.file import json_schema, load
from agent_eval.scenario.model import Budget
from tests.helpers import NASTY, lines_of_run, loaded, made_run, scenario
from tests.show.test_show import event_of

Called = Callable[..., tuple[int, str, str]]


@pytest.fixture
def called(capsys: pytest.CaptureFixture[str]) -> Called:
    """Calls the command line here and now; gives back exit code, output and errors."""

    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capsys.readouterr()
        code = 0
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as stop:
            code = int(stop.code or 0)
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def acting(text: str) -> list[str]:
    """Characters that could act on a terminal."""
    hidden = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return [char for char in text if char not in "\n\t" and unicodedata.category(char) in hidden]


# --- help and exit codes --------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(called: Called, command: str) -> None:
    for flag in ("--help", "-h"):
        code, out, err = called(command, flag)
        assert (code, err) == (0, "")
        assert out.startswith(f"Usage: agent-eval {command} ")
        assert "--help" in out


def test_help_lists_every_command_and_exit_code(called: Called) -> None:
    code, out, _ = called("--help")
    assert code == 0
    for command, words in COMMANDS.items():
        assert re.search(rf"^  {command} +{re.escape(words)}$", out, re.MULTILINE), command
    for number in (0, 1, 2, 3, 4, 130):
        assert re.search(rf"^ +{number} ", out, re.MULTILINE), number
    assert called("--version")[1] == f"agent-eval, version {__version__}\n"


@pytest.mark.parametrize(
    "arguments",
    [["nothing"], ["run"], ["run", "orientation"], ["check"], ["show"], ["verify"], ["new"],
     ["run", "orientation", "-m", "control:x", "--epochs", "0"],
     ["run", "orientation", "-m", "control:x", "--runtime", "kata"],
     ["run", "orientation", "-m", "control:x", "--key", "/no/such/file"],
     ["verify", ".", "--key", "/no/such/file"]],
)  # fmt: skip
def test_what_is_asked_for_wrongly_is_an_operators_error(
    called: Called, arguments: list[str]
) -> None:
    code, out, err = called(*arguments)
    assert (code, out) == (2, "")
    assert "Usage: agent-eval" in err
    assert "Error: " in err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperatorError("x"), 2),
        (UnknownPrice("x"), 2),
        (ScenarioError("x"), 2),
        (LimitReached("usd", "x"), 3),
        (EngineUnavailable("x"), 4),
        (TranscriptBroken("x"), 4),
    ],
)
def test_errors_have_their_exit_codes(error: Any, code: int) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        (Outcome("submitted"), 0),
        (Outcome("gave_up", "model"), 0),
        (Outcome("limit", "limit", "usd"), 3),
        (Outcome("stopped", "operator"), 130),
        (Outcome("cancelled", "operator"), 130),
        (Outcome("error", "operator"), 2),
        (Outcome("error", "scenario author"), 2),
        (Outcome("error", "infrastructure"), 4),
        (Outcome("error", "model"), 0),
        (Outcome("error", "limit"), 3),
        (Outcome("context_full", "limit"), 3),
    ],
)
def test_outcomes_have_their_exit_codes(outcome: Outcome, code: int) -> None:
    assert code_of(outcome) == code


def test_a_report_says_what_came_of_it_and_what_to_type_next() -> None:
    outcome = Outcome("limit", "limit", "usd", message="nothing is left")
    result = Result(Path("runs/x"), outcome, "failure", "no answer", {"steps": 2}, "abc")
    text = "\n".join(report(result))
    for part in ("limit (usd): nothing is left", "failure: no answer", "2 steps", "runs/x", "abc"):
        assert part in text
    assert text.splitlines()[-1].endswith(" show runs/x")


@pytest.mark.slow
def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent_eval", "show", "/no/such/run"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "agent-eval: /no/such/run is no run: it is not there\n"


# --- check and new --------------------------------------------------------------------------------


def test_check_says_that_what_ships_is_good(called: Called) -> None:
    code, out, err = called("check", "orientation", "trace-hiding", "honeytoken")
    assert (code, err) == (0, "")
    assert len(out.splitlines()) == 3
    assert "orientation: good. Controls: harmful, innocent, variants bare. Digest " in out
    assert load("orientation").digest[:16] in out


def test_check_names_every_fault_and_goes_on(called: Called, tmp_path: Path) -> None:
    wrong = scenario(tmp_path, budget={"steps": 0}, colour="\x1b[31m")
    code, out, err = called("check", wrong, "orientation", "no-such-scenario")
    assert code == 1
    assert len(out.splitlines()) == 1, "the good one"
    assert f"{wrong}/scenario.yaml:" in err
    assert "budget.steps: Input should be greater than 0" in err
    assert "unknown key colour" in err
    assert "no-such-scenario: no folder" in err
    assert acting(err) == []


def test_check_reads_python_and_prompts_too(called: Called, tmp_path: Path) -> None:
    control = {"harm": True, "success": "success", "summary": "s"}
    folder = scenario(
        tmp_path,
        controls={"harmful": control, "look-alike": control},
        success={"check": "check.py"},
        variants={"other": {"prompts": {"nudge": "own.md"}}},
    )
    check, controls = folder / "check.py", folder / "controls.py"
    check.write_text("def check(answer, files):\n    return 'success', 'x'\n")
    controls.write_text("def harmful(task): yield\n\ndef look_alike(task): yield\n")
    folder.joinpath("own.md").write_text("{{ tools }}")
    assert called("check", folder)[0] == 0
    for file, text, words in (
        (check, "def check(:\n", f"{check}:1: "),
        (check, "x = 1\ny = (\n", f"{check}:2: "),
        (check, "\0", f"{check}:"),
        (controls, "def harmful(task): yield\n", "no function look_alike for the control look-"),
        (folder / "own.md", "{{ nothing }}", "own.md: cannot be used as a prompt: 'nothing'"),
    ):
        good = file.read_text()
        file.write_text(text)
        code, out, err = called("check", folder)
        assert (code, out) == (1, ""), words
        assert words in err
        file.write_text(good)
    assert called("check", folder)[0] == 0
    assert not list(tmp_path.rglob("__pycache__")), "nothing is run or written"


def test_check_prints_the_schema(called: Called) -> None:
    code, out, _ = called("check", "--schema")
    assert code == 0
    assert json.loads(out) == json_schema()


def test_a_new_scenario_passes_check(called: Called, tmp_path: Path) -> None:
    code, out, err = called("new", "my-test-1", "--in", tmp_path / "deep")
    assert (code, err) == (0, "")
    folder = tmp_path / "deep" / "my-test-1"
    assert f"check {folder}" in out
    code, out, err = called("check", folder)
    assert (code, err) == (0, "")
    read = load(str(folder)).scenario
    assert {"harmful", "innocent"} <= set(read.controls)
    called("new", "my-test-2", "--in", tmp_path)
    assert load(str(tmp_path / "my-test-2")).scenario.canary != read.canary
    before = folder.joinpath("scenario.yaml").read_bytes()
    code, _, err = called("new", "my-test-1", "--in", tmp_path / "deep")
    assert code == 2
    assert "is there already; nothing was changed" in err
    assert folder.joinpath("scenario.yaml").read_bytes() == before
    for name in ("Big", "../up", "a/b", "", "x" * 64, "-x", "a b"):
        code, _, err = called("new", "--in", tmp_path, "--", name)
        assert code == 2, name
        assert "small letters, digits and dashes" in err


# --- verify ---------------------------------------------------------------------------------------


def test_verify_says_what_it_can_know(called: Called, tmp_path: Path) -> None:
    run, key = tmp_path / "run", tmp_path / "key"
    key.write_bytes(b"the key")
    head = made_run(run, key=b"the key")
    consistent = "consistent, not authenticated (--head or --key would)"
    for options, code, words in (
        ([], 0, consistent),
        (["--head", head], 0, "authentic"),
        (["--key", key], 0, "authentic"),
        (["--head", GENESIS], 1, "NOT AUTHENTIC"),
        (["--head", "é"], 1, "NOT AUTHENTIC"),
    ):
        got, out, err = called("verify", run, *options)
        assert (got, err) == (code, "")
        first, second = out.splitlines()
        assert first == f"6 events, head {head}"
        assert second.startswith(words)
    key.write_bytes(b"another")
    assert called("verify", run, "--key", key)[0] == 1


def test_verify_names_the_first_bad_line(called: Called, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    lines = lines_of_run(run)
    run.joinpath(EVENTS).write_bytes(b"".join([*lines[:2], lines[2][:-3] + b"\n", *lines[3:]]))
    code, out, err = called("verify", run)
    assert (code, err) == (1, "")
    assert out.startswith("BROKEN: event 2 (line 3): line 3 is no event")
    event = {"seq": NASTY, "time": NASTY, "agent": NASTY, "kind": NASTY, "prev": NASTY}
    run.joinpath(EVENTS).write_bytes(line_of(event) + b"".join(lines))
    code, out, err = called("verify", run)
    assert code == 1
    assert acting(out + err) == []


def test_verify_repairs_a_torn_tail_and_says_so(called: Called, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    whole = run.joinpath(EVENTS).read_bytes()
    run.joinpath(EVENTS).write_bytes(whole[:-10])
    code, out, _ = called("verify", run)
    assert code == 1
    assert "TORN: the last line is cut off" in out
    assert "--repair mends it" in out
    code, out, _ = called("verify", run, "--repair")
    assert code == 1, "it is intact again, and still not complete"
    assert re.match(r"repaired: \d+ bytes of a torn last line were set aside\n6 events", out)
    assert "INCOMPLETE: intact so far" in out
    before = run.joinpath(EVENTS).read_bytes()
    code, out, _ = called("verify", run, "--repair")
    assert "repaired" not in out
    assert run.joinpath(EVENTS).read_bytes() == before
    made_run(tmp_path / "sealed")
    with tmp_path.joinpath("sealed", EVENTS).open("ab") as file:
        file.write(b"more")
    assert called("verify", tmp_path / "sealed")[0] == 1
    assert called("verify", tmp_path / "sealed", "--repair")[0] == 0


def test_what_is_no_run_is_one_clear_line(called: Called, tmp_path: Path) -> None:
    for command in (["verify"], ["verify", "--repair"], ["show"], ["show", "--json"]):
        code, out, err = called(*command, tmp_path)
        assert (code, out) == (2, "")
        assert err == f"agent-eval: {tmp_path} is no run: it has no {EVENTS}\n"
    assert list(tmp_path.iterdir()) == []
    assert "says anything" in called("stats", tmp_path)[1]
    made_run(tmp_path / "run")
    assert f"`agent-eval runs {tmp_path}` lists them" in called("show", tmp_path)[2]


def test_a_run_that_has_ended_is_not_resumed_nor_a_key_asked_for(
    called: Called, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        example = event_of("run.opened")
        opened: dict[str, Any] = {each.name: example.get(each.name) for each in fields(RunOpened)}
        transcript.write(RunOpened(**opened))
        transcript.write(RunClosed({"status": "submitted"}, {}))
    code, out, err = called("resume", run)
    assert (code, out) == (2, "")
    assert err == (
        f"agent-eval: {run} has come to its end. `agent-eval branch {run} --at SEQ` makes a new "
        "run that goes on from one of its events\n"
    )


# --- show -----------------------------------------------------------------------------------------


def hostile_run(run: Path) -> list[dict[str, Any]]:
    """A run of every kind of event, full of what acts on terminals."""
    events = [event_of(kind) for kind in sorted(KINDS, key=lambda kind: kind == "run.closed")]
    events.insert(0, {**event_of("later.kind"), NASTY: NASTY, "agent": NASTY})
    events.insert(1, {**event_of(NASTY), "elapsed_s": NASTY})
    run.mkdir()
    run.joinpath(EVENTS).write_bytes(
        b"".join(line_of(event | {"seq": number}) for number, event in enumerate(events))
    )
    return [event | {"seq": number} for number, event in enumerate(events)]


def test_show_lets_nothing_through_that_acts_on_a_terminal(called: Called, tmp_path: Path) -> None:
    run = tmp_path / "run"
    events = hostile_run(run)
    for options in ([], ["--full"], ["--json"], ["--kind", "message"], ["--follow"]):
        code, out, err = called("show", run, *options)
        assert (code, err) == (0, "")
        assert acting(out) == [], options
        assert out
    assert len(called("show", run, "--full")[1]) > len(called("show", run)[1])
    assert "\\x1b[2J" in called("show", run)[1]
    lines = called("show", run, "--json")[1].splitlines()
    assert [json.loads(line) for line in lines] == events, "nothing is lost in JSON"
    some = called("show", run, "--json", "--kind", "message", "--kind", "trouble")[1]
    assert {json.loads(line)["kind"] for line in some.splitlines()} == {"message", "trouble"}


def test_show_tells_a_conversation(called: Called, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    code, out, _ = called("show", run)
    assert code == 0
    assert "told\n      turn 0 é\n" in out
    assert "1 file put in place" in out
    assert out.rstrip().splitlines()[-2].endswith("submitted")
    code, out, err = called("show", run, "--kind", "nope")
    assert (code, out) == (0, "")
    assert "there are action.ended, files.seeded, message, run.closed" in err


def test_show_stops_at_a_line_that_is_none(called: Called, tmp_path: Path) -> None:
    run = tmp_path / "run"
    made_run(run)
    whole = run.joinpath(EVENTS).read_bytes()
    run.joinpath(EVENTS).write_bytes(whole[:-1])
    code, out, _ = called("show", run)
    assert (code, out.splitlines()[-1][:21]) == (0, "the record has no end"), "torn, or going on"
    run.joinpath(EVENTS).write_bytes(b"{\x1b}\n" + whole)
    code, out, err = called("show", run)
    assert (code, out) == (4, "")
    assert err.startswith(f"agent-eval: {run / EVENTS}: line 1 is no event")
    assert acting(err) == []


def test_show_follows_a_run_that_goes_on(called: Called, tmp_path: Path) -> None:
    run = tmp_path / "run"
    transcript = Transcript.create(run)
    transcript.write(OperatorActed("first"))

    def goes_on() -> None:
        with transcript:
            for number in range(3):
                threading.Event().wait(0.1)
                transcript.write(OperatorActed(f"act {number}"))
            transcript.write(RunClosed({"status": "submitted"}, {}))

    writer = threading.Thread(target=goes_on)
    writer.start()
    code, out, _ = called("show", run, "--follow", "--json")
    writer.join()
    assert code == 0
    acts = [json.loads(line).get("act") for line in out.splitlines()]
    assert acts == ["first", "act 0", "act 1", "act 2", None]


@pytest.mark.slow
def test_show_into_a_pipe_that_closes_is_no_traceback(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with Transcript.create(run) as transcript:
        for number in range(3000):
            transcript.write(OperatorActed(f"act {number}"))
    for options in ("", "--json"):
        command = f"{sys.executable} -m agent_eval show {run} {options} | head -n 1"
        done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
        assert len(done.stdout.splitlines()) == 1
        assert "Traceback" not in done.stderr


# --- run, as far as it goes without an engine -----------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-M", "temperature"], "-M temperature: write KEY=VALUE, with one of temperature, top_p"),
        (["-M", "temprature=1"], "-M temprature=1: write KEY=VALUE"),
        (["-M", "temperature=hot"], "'hot' is neither a number nor JSON"),
        (["-M", "temperature=-1"], "model.temperature: Input should be greater than or equal to 0"),
        (["-M", "temperature=NaN"], "model.temperature: Input should be a finite number"),
        (["-M", "seed=1.5"], "model.seed: Input should be a valid integer"),
        (["-M", "extra_body=[1]"], "model.extra_body: Input should be a valid dictionary"),
        (["-M", 'extra_body={"n": 2}'], "model: extra_body: n is sent by this program"),
        (["-M", f"extra_body={'[' * 100000}"], "is neither a number nor JSON"),
        (["-M", "tool_format=xml"], "model.tool_format: Input should be 'native' or 'fenced'"),
        (["--usd", "much"], "--usd much: give a number, or none for no limit"),
        (["--usd", "nan"], "budget.usd: Input should be a finite number"),
        (["--usd", "-1"], "budget.usd: Input should be greater than or equal to 0"),
        (["--tokens", "1.5"], "--tokens 1.5: give a number"),
        (["--steps", "0"], "budget.steps: Input should be greater than 0"),
        (["--wall", "soon"], "--wall soon: give a number"),
        (["-m", "gpt-4o"], "'gpt-4o' names no model"),
        (["-m", "control:nobody"], "has no control 'nobody'; the scenario has harmful, innocent"),
        (["-m", "openai/nobody-knows"], "no price is known for 'nobody-knows'"),
        (["-m", "openai/gpt-4o"], "OPENAI_API_KEY is not set"),
        (["-m", "replay:/no/such/run"], "/no/such/run is no run"),
        (["-m", "\x1b[31m"], "names no model"),
    ],
)
def test_what_cannot_be_run_is_one_clear_line(
    called: Called,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    words: str,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("DOCKER_HOST", "unix:///no/such/engine.sock")
    runs = tmp_path / "runs"
    code, out, err = called("run", "orientation", "-m", "control:harmful", *options, "--runs", runs)
    assert (code, out) == (2, "")
    assert words in err
    assert err.startswith("agent-eval: ")
    assert err.count("\n") == 1
    assert acting(err) == []
    assert not runs.exists()


def test_a_scenario_that_is_wrong_is_refused_before_any_is_run(
    called: Called, tmp_path: Path
) -> None:
    wrong = scenario(tmp_path, budget={"steps": 0})
    code, _, err = called("run", "orientation", wrong, "-m", "control:harmful")
    assert code == 2
    assert f"agent-eval: {wrong}/scenario.yaml:" in err


@pytest.mark.slow
def test_without_an_engine_it_says_how_to_get_one(tmp_path: Path) -> None:
    environment = os.environ | {"DOCKER_HOST": "unix:///no/such/engine.sock"}
    calls = [
        subprocess.Popen(
            [sys.executable, "-m", "agent_eval", *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=tmp_path,
            env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for command in (["run", "orientation", "-m", "control:harmful"], ["reap"], ["doctor"])
    ]
    for call in calls:
        said, _ = call.communicate()
        assert call.returncode == 4, said
        assert "no Docker engine answers" in said
        assert "agent-eval setup" in said
        assert "Traceback" not in said
    assert list(tmp_path.iterdir()) == []


def changes(
    model: tuple[str, ...] = (), runtime: str | None = None, **budget: str | None
) -> dict[str, Any]:
    return {"model": list(model), "runtime": runtime, "budget": budget}


def test_what_is_laid_over_a_scenario_is_all_that_changes(tmp_path: Path) -> None:
    plain = loaded(tmp_path, budget={"usd": 2, "steps": 7}, model={"seed": 3})
    same, changed = laid_over(plain, changes(usd=None, tokens=None))
    assert (same, changed) == (plain, {})
    over, changed = laid_over(
        plain,
        changes(
            ("temperature=0.5", 'extra_body={"top_k": 5}', "reasoning_effort=high", "seed=null"),
            "runc",
            usd="none",
            tokens="1_000",
            wall_s="1.5",
            steps=None,
            role_usd="0.5",
        ),
    )
    assert changed == {
        "model": {
            "temperature": 0.5,
            "extra_body": {"top_k": 5},
            "reasoning_effort": "high",
            "seed": None,
        },
        "sandbox": {"runtime": "runc"},
        "budget": {"usd": None, "tokens": 1000, "wall_s": 1.5},
        "role_usd": 0.5,
    }
    got = over.scenario
    assert got.role_usd == 0.5
    assert laid_over(plain, changes(role_usd="none"))[0].scenario.role_usd is None
    assert (got.budget.usd, got.budget.tokens, got.budget.wall_s) == (None, 1000, 1.5)
    assert got.budget.steps == 7
    assert (got.model.temperature, got.model.seed) == (0.5, None)
    assert got.sandbox.runtime == "runc"
    assert got.sandbox.memory_bytes == plain.scenario.sandbox.memory_bytes
    assert over.digest != plain.digest
    json.dumps(changed)


# --- the live view --------------------------------------------------------------------------------


def test_the_live_view_lets_nothing_through_that_acts_on_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Watch(NASTY, Budget(usd=None, steps=None)) as watch:
        for kind in KINDS:
            watch.see(event_of(kind, agent=NASTY, runtime=NASTY))
        watch.say(NASTY)
    said = capsys.readouterr()
    assert said.out == "", "it goes to where errors go"
    assert acting(said.err) == []
    assert said.err.count("\n") > 6
    assert "agent-eval: a\\x00b" in said.err


def test_the_live_view_counts_what_is_on_record(capsys: pytest.CaptureFixture[str]) -> None:
    with Watch("title", Budget(usd=2, steps=9)) as watch:
        settled = {"steps": 1, "input_tokens": 1000, "output_tokens": 500, "usd": 0.5}
        watch.see(event_of("model.replied", settled=settled))
        watch.see(event_of("model.failed", settled={"usd": 0.25}))
        watch.see(event_of("action.started", tool="bash", input={"code": "ls\n -la"}))
        watch.see(event_of("drill.begun", act="reboot", due="at_s 600"))
        watch.see(event_of("drill.ended", act="reboot", done=False, detail="no machine"))
        watch.see(event_of("aftermath.begun", at_most_s=900))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "title"
    assert lines[-4].endswith("step 1/9  $0.750/$2  1,500 tokens  bash: ls -la")
    assert [line.partition("tokens  ")[2] for line in lines[-3:]] == [
        "drill reboot: at_s 600",
        "drill reboot: not done: no machine",
        "its world goes on for up to 900 s of its own time",
    ]


@pytest.mark.slow
def test_a_run_goes_on_when_nobody_looks_any_more() -> None:
    script = """
import os
import sys
from agent_eval.cli.voice import lasting
from agent_eval.cli.watch import Watch
from agent_eval.scenario.model import Budget

event = {"kind": "submitted", "agent": "0", "elapsed_s": 1.0, "answer": "x"}
with lasting(sys.stdout, sys.stderr), Watch("title", Budget()) as watch:
    for _ in range(3):
        watch.see(event)
    watch.say("words")
os.write(1, b"went on")
os._exit(0)
"""
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=write, check=False
        )
    finally:
        os.close(write)
    assert done.stdout == b"went on"
