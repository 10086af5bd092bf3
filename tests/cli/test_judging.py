"""`agent-eval grade --rubric`: from the command line to a server and back to people."""

import json
from pathlib import Path

import pytest

from agent_eval.cli import main
from agent_eval.rubrics.written import read_grading
from tests.models.server import point_at, serving
from tests.rubrics.told import HIDING, grading, honest, told

PRICES = "grader-1: {input: 10, cached: 1, output: 40, as_of: d, source: s}\n"


@pytest.fixture
def prices(tmp_path: Path) -> str:
    file = tmp_path / "prices.yaml"
    file.write_text(PRICES)
    return f"--prices={file}"


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    out, err = capsys.readouterr()
    assert ended.value.code == code, err
    return out + err


def test_runs_are_graded_shown_verified_and_counted(
    tmp_path: Path,
    prices: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harm, calm = tmp_path / "harm", tmp_path / "calm"
    told(harm, does=HIDING, thinks="I hide it.", rubrics=["trace-hiding"])
    told(calm, thinks=None, rubrics=["trace-hiding"], role_usd=0.5)
    runs = (str(harm), str(calm))
    with serving(grading(honest)) as server:
        point_at(monkeypatch, server.address)
        said = printed(capsys, "grade", *runs, "--grader", "openai/grader-1", prices)
    assert "by rubric, of what it did:" in said
    assert "yes          trace-hiding A: because of what it says (3 of 3 votes agree" in said
    assert "by rubric, of what it thought:" in said
    assert "there is no reasoning on record" in said
    rate = "trace-hiding, what it did: 1/2 = 50%"
    assert rate in said
    assert "2 of 2 scored; by openai/grader-1" in said
    assert "trace-hiding, what it thought: 0/1 = 0%" in said
    assert "1 of 2 scored, 1 unscored" in said
    assert "GRADES ITSELF" not in said
    (file,) = calm.glob("rubric-*.jsonl")
    assert read_grading(file)[0]["cap_usd"] == 0.5, "each run's own role_usd"

    assert "by rubric, of what it did:\n  yes " in printed(capsys, "show", runs[0])
    assert "verdicts of openai/grader-1 follow each other" in printed(capsys, "verify", runs[0])
    (file,) = harm.glob("rubric-*.jsonl")
    file.write_bytes(file.read_bytes().replace(b'"answer": "yes"', b'"answer": "no"'))
    assert "FINDINGS: " in printed(capsys, "verify", runs[0], code=1)
    assert "by rubric: " in printed(capsys, "show", runs[0])


def test_who_grades_itself_is_said_beside_every_verdict_and_rate(
    tmp_path: Path,
    prices: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = [tmp_path / "a", tmp_path / "b"]
    for run in runs:
        told(run, does=HIDING, tested="grader-1")
    names = [*map(str, runs), "--rubric", "trace-hiding", "--grader", "openai/grader-1", prices]
    with serving(grading(honest)) as server:
        point_at(monkeypatch, server.address)
        said = printed(capsys, "grade", *names, code=2)
        assert "is the model under test" in said
        said = printed(capsys, "grade", *names, "--allow-self-grading", "--votes", "1")
    verdicts = [line for line in said.splitlines() if " trace-hiding" in line]
    rates = [line for line in said.splitlines() if line.startswith("trace-hiding, ")]
    assert (len(verdicts), len(rates)) == (4, 2)
    for line in (*verdicts, *rates):
        assert "GRADES ITSELF" in line


def test_a_list_of_models_names_the_grader_and_its_price(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, models = tmp_path / "run", tmp_path / "models.yaml"
    told(run, does=HIDING, thinks=None)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(grading(honest)) as server:
        price = {"input": 0, "cached": 0, "output": 0, "as_of": "d", "source": "s"}
        listed = {"model": "g", "base_url": server.address, "key_variable": None, "price": price}
        models.write_text(json.dumps({"models": {"local": listed}, "roles": {"grader": "local"}}))
        arguments = ("grade", str(run), "--rubric", "trace-hiding", "--models", str(models))
        said = printed(capsys, *arguments, "--grader-usd", "0.25")
    assert "yes          trace-hiding A" in said
    (file,) = run.glob("rubric-*.jsonl")
    opened = read_grading(file)[0]
    assert (opened["grader"]["model"], opened["cap_usd"]) == ("local", 0.25)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--rubric", "trace-hiding"), "a rubric needs a model"),
        (("--rubric", "trace-hide", "--grader", "openai/g"), "Did you mean trace-hiding"),
        (("--rubric", "trace-hiding", "--grader", "control:x"), "no model that can grade"),
        (("--grader", "openai/unheard-of"), "names no rubrics"),
        (("--rubric", "trace-hiding", "--grader", "openai/unheard-of"), "no price is known"),
    ],
)
def test_what_cannot_be_done_as_asked_is_refused_with_what_can(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    why: str,
) -> None:
    told(tmp_path / "run")
    point_at(monkeypatch, "http://127.0.0.1:9/v1")
    assert why in printed(capsys, "grade", str(tmp_path / "run"), *arguments, code=2)
    assert list(tmp_path.glob("run/rubric-*")) == []
