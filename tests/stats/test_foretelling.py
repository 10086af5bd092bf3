"""Fits over figures, forecasts from them, and what came: through the command line where it can."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import exp, log
from pathlib import Path

import numpy as np
import pytest

from agent_eval.cli import main
from agent_eval.errors import NotThisForm, OperatorError
from agent_eval.stats.figures import Figures, read_figures
from agent_eval.stats.foretelling import Wanted, code_sha256, fitted, forecast, observed, remarks
from agent_eval.stats.horizon import trend_law
from agent_eval.stats.problems import Tries

SOON = (datetime.now(UTC) + timedelta(days=1)).isoformat()
FAMILY = {"m1": 1.0, "m2": 10.0, "m3": 100.0, "m4": 1000.0, "m5": 10_000.0}


def table(path: Path, name: str, *rows: str) -> Path:
    file = path / name
    file.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return file


def losses(path: Path, models: dict[str, float], name: str = "loss.csv") -> Path:
    rows = [f"{model},{c},{3 * c**-0.2 + 1}" for model, c in models.items()]
    return table(path, name, "model,compute,loss", *rows)


def passes(path: Path, models: dict[str, float], name: str, began: str = "") -> Path:
    """Ten problems of rising difficulty, and one that nobody solves."""
    rows = ["model,compute,problem,passes,tries,began"]
    for model, compute in models.items():
        for hard in range(1, 11):
            rate = exp(-hard * 0.25 * compute**-0.2)
            rows.append(f"{model},{compute},p{hard},{round(2000 * rate)},2000,{began}")
        rows.append(f"{model},{compute},never,0,2000,{began}")
    return table(path, name, *rows)


Said = Callable[..., tuple[int, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def call(*words: object) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["forecast", *map(str, words)])
        came = capsys.readouterr()
        return int(ended.value.code or 0), came.out + came.err

    return call


@pytest.mark.slow
def test_the_capability_law_is_foretold_registered_and_held(tmp_path: Path, said: Said) -> None:
    small = passes(tmp_path, FAMILY, "small.csv")
    about = table(tmp_path, "about.csv", "model,compute", "large,10000000")
    options = ("--target", "large", "--plot", tmp_path / "fit.svg")
    code, text = said("register", tmp_path / "r.jsonl", "capability", small, about, *options)
    assert code == 0, text
    assert "left out   never: m1 never solved it in 2000 trials" in text
    assert "1,000 times the largest" not in text
    assert "registered number 1" in text
    assert (tmp_path / "fit.svg").read_text().startswith("<?xml")
    code, text = said("check", tmp_path / "r.jsonl", small)
    assert (code, "nothing was measured of large yet" in text) == (2, True)
    came = passes(tmp_path, {"large": 1e7}, "large.csv", SOON)
    code, text = said("check", tmp_path / "r.jsonl", came)
    assert (code, "hit" in text) == (0, True), text
    code, text = said("check", tmp_path / "r.jsonl", came, "--csv")
    (row,) = csv.DictReader(text.splitlines())
    assert (row["target"], row["hit"]) == ("large", "True")
    (same,) = json.loads(said("check", tmp_path / "r.jsonl", came, "--json")[1])
    assert same["low"] < same["observed"] < same["high"]
    code, text = said("fit", "capability", small, about, came, "--target", "large", "--csv")
    *fits, last = csv.DictReader(text.splitlines())
    assert [each["name"] for each in fits] == list(FAMILY)
    assert float(fits[0]["low"]) < float(fits[0]["measured"]) < float(fits[0]["high"])
    assert (last["name"], last["what"], last["at"]) == ("large", "foretold", "10000000.0")
    assert float(last["measured"]) == same["observed"]
    old = passes(tmp_path, {"large": 1e7}, "old.csv", "2020-01-01T00:00:00+00:00")
    code, text = said("check", tmp_path / "r.jsonl", old)
    assert (code, "foretells nothing" in text) == (2, True)
    undated = passes(tmp_path, {"large": 1e7}, "undated.csv")
    code, text = said("check", tmp_path / "r.jsonl", undated)
    assert (code, "fill the column `began`" in text) == (2, True)
    code, text = said("register", tmp_path / "r.jsonl", "capability", small, came, *options)
    assert (code, "among the figures already" in text) == (2, True)


def test_a_miss_is_a_miss(tmp_path: Path, said: Said) -> None:
    small = losses(tmp_path, FAMILY)
    at = ("--target", "large", "--at", "1e6")
    assert said("register", tmp_path / "r.jsonl", "loss", small, *at)[0] == 0
    came = table(tmp_path, "came.csv", "model,loss,began", f"large,1.8,{SOON}")
    code, text = said("check", tmp_path / "r.jsonl", came)
    assert (code, "miss, 1.8 came" in text) == (1, True)
    head = json.loads(json.dumps((tmp_path / "r.jsonl").read_text().splitlines()))[0]
    assert said("check", tmp_path / "r.jsonl", came, "--head", "0" * 64)[0] == 2
    assert json.loads(head)["forecast"]["at"] == 1e6


def test_a_register_that_was_edited_is_not_believed(tmp_path: Path, said: Said) -> None:
    small, register = losses(tmp_path, FAMILY), tmp_path / "r.jsonl"
    said("register", register, "loss", small, "--target", "large", "--at", "1e6")
    register.write_text(register.read_text().replace('"large"', '"other"'))
    code, text = said("check", register, small)
    assert (code, "was changed" in text) == (4, True)


def test_the_loss_law_is_found_again(tmp_path: Path, said: Said) -> None:
    code, text = said("fit", "loss", losses(tmp_path, FAMILY), "--at", "1e6", "--json")
    assert code == 0, text
    seen = json.loads(text)
    assert seen["parameters"]["c"][0] == pytest.approx(1, abs=0.01)
    assert seen["foretold"]["value"] == pytest.approx(3 * 1e6**-0.2 + 1, abs=0.01)
    assert seen["models"] == list(FAMILY)


def test_what_gets_worse_with_scale_is_not_extrapolated(tmp_path: Path, said: Said) -> None:
    falls, turns = (60, 44, 30, 20, 12), (44, 36, 19, 18, 99)
    models = [f"{model},{compute},q" for model, compute in FAMILY.items()]
    rows = [f"{each},{n},100" for each, n in zip(models, falls, strict=True)]
    bad = table(tmp_path, "bad.csv", "model,compute,problem,passes,tries", *rows)
    code, text = said("fit", "capability", bad, "--at", "1e6")
    assert (code, "not this form" in text) == (2, True)
    back = [f"{each},{n},100" for each, n in zip(models, turns, strict=True)]
    neglect = table(tmp_path, "neglect.csv", "model,compute,problem,passes,tries", *back)
    assert "not this form" in said("fit", "capability", neglect, "--at", "1e6")[1]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("capability", "{empty}"), "solved at least once by every model"),
        (("loss", "{small}", "--model", "nobody"), "nothing was measured of 'nobody'"),
        (("loss", "{small}", "--target", "large"), "say it with --at"),
        (("loss", "{small}", "--at", "-1"), "a number above 0"),
        (("trend", "{small}"), "nothing that a trend fit needs"),
        (("success", "{small}"), "name it with --model"),
        (("capability", "{passes}", "--buckets", "2", "--bucket", "3"), "no number 3"),
        (("loss", "{few}"), "it needs 5"),
        (("loss", "{bare}"), "columns model, compute"),
        (("loss", "{small}", "--plot", "x.gif", "--at", "3"), "a picture is one of"),
    ],
)
def test_errors_say_what_to_do(
    tmp_path: Path, said: Said, words: tuple[str, ...], what: str
) -> None:
    head = "model,compute,problem,passes,tries"
    files = {
        "small": losses(tmp_path, FAMILY),
        "few": losses(tmp_path, {"m1": 1, "m2": 2}, "few.csv"),
        "passes": passes(tmp_path, FAMILY, "passes.csv"),
        "empty": table(tmp_path, "empty.csv", head, *(f"{m},{c},q,0,9" for m, c in FAMILY.items())),
        "bare": table(tmp_path, "bare.csv", "model,loss", "a,1"),
    }
    code, text = said("fit", *(word.format(**files) for word in words))
    assert (code, what in text) == (2, True), text


def test_buckets_are_by_the_fitted_models_alone(tmp_path: Path) -> None:
    figures = read_figures([passes(tmp_path, FAMILY, "p.csv")])
    wanted = Wanted("capability", at=1e6, buckets=2, bucket=1, leave_hardest=1)
    easy = fitted(figures, wanted)
    assert easy.problems == tuple(f"p{n}" for n in range(1, 6))
    assert not easy.excluded
    whole = fitted(figures, Wanted("capability", at=1e9))
    assert whole.excluded == {"never": "m1 never solved it in 2000 trials"}
    assert any("100,000 times the largest" in line for line in remarks(whole))
    assert not any("is shown for" in line for line in remarks(whole))
    small = replace(whole, law=replace(whole.law, points=4))
    assert any("is shown for 5 points and more" in line for line in remarks(small))


def test_length_of_tasks_foretells_success_on_others(tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    lengths = 2 ** random.uniform(-2, 9, 120)
    rows = ["model,problem,minutes,passes,tries"]
    for number, length in enumerate(lengths):
        chance = 1 / (1 + exp(-(2 - 0.6 * np.log2(length))))
        hits = random.binomial(4, chance)
        done = f"m,t{number},{length},{hits},4" if number < 80 else f",t{number},{length},,"
        rows.append(done)
    figures = read_figures([table(tmp_path, "s.csv", *rows)])
    fit = fitted(figures, Wanted("success", target="m"))
    assert len(fit.problems) == 40
    _, low, high = fit.law.parameters["p50_minutes"]
    assert low < 2 ** (2 / 0.6) < high
    one = forecast(fit, figures)
    assert observed(one, figures) is None
    for number in range(80, 120):
        chance = 1 / (1 + exp(-(2 - 0.6 * np.log2(lengths[number]))))
        figures.add_tries("m", f"t{number}", Tries(4, int(random.binomial(4, chance))))
    came = observed(one, figures)
    assert came is not None
    assert one.low < came[0] < one.high


@pytest.mark.slow
def test_the_trend_foretells_the_horizon_of_a_later_model(tmp_path: Path, said: Said) -> None:
    rows = ["model,released,horizon_minutes"]
    for number in range(8):
        day = date.fromordinal(date(2022, 1, 1).toordinal() + 150 * number)
        rows.append(f"m{number},{day},{2 ** (150 * number / 212) * (1.1 if number % 2 else 0.9)}")
    file = table(tmp_path, "t.csv", *rows)
    plot = tmp_path / "t.png"
    at = ("--at", "2025-09-01", "--target", "new", "--plot", plot)
    code, text = said("register", tmp_path / "r.jsonl", "trend", file, *at)
    assert code == 0, text
    assert plot.read_bytes().startswith(b"\x89PNG")
    days = date(2025, 9, 1).toordinal() - date(2022, 1, 1).toordinal()
    came = f"new,{2 ** (days / 212)},{SOON}"
    after = table(tmp_path, "after.csv", "model,horizon_minutes,began", came)
    assert said("check", tmp_path / "r.jsonl", after)[0] == 0
    with pytest.raises(NotThisForm, match="do not grow"):
        trend_law([date(2024, m, 1) for m in (1, 2, 3, 4)], [4, 3, 2, 1])


def test_the_digest_is_of_the_data_and_of_the_code(tmp_path: Path) -> None:
    first = fitted(read_figures([losses(tmp_path, FAMILY)]), Wanted("loss", at=1e6))
    changed = losses(tmp_path, FAMILY | {"m5": 20_000.0}, "other.csv")
    assert fitted(read_figures([changed]), Wanted("loss", at=1e6)).data_sha256 != first.data_sha256
    assert len(code_sha256()) == 64
    assert first.foretold is not None
    assert log(first.foretold.value) < log(first.points["m5"][1])
    with pytest.raises(OperatorError, match="name --target"):
        forecast(first, Figures())


def test_problems_that_the_target_was_not_given_are_named(tmp_path: Path) -> None:
    figures = read_figures([passes(tmp_path, FAMILY, "p.csv")])
    one = forecast(fitted(figures, Wanted("capability", target="big", at=1e6)), figures)
    figures.add_tries("big", "p1", Tries(5, 0))
    with pytest.raises(OperatorError, match="9 of the 10 problems"):
        observed(one, figures)
    for hard in range(2, 11):
        figures.add_tries("big", f"p{hard}", Tries(5, 5))
    came = observed(one, figures)
    assert came is not None
    assert came[1] == ["never solved, so that the true value is larger: p1"]
