"""Time horizons: the published figures, and fits to data of known curves."""

import csv
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from agent_eval.errors import OperatorError
from agent_eval.stats.horizon import Success, fit_success, trend, trend_interval

FILE = Path(__file__).parent / "data" / "horizons.csv"
ROWS = list(csv.DictReader(FILE.read_text(encoding="utf-8").splitlines()[1:]))
MODELS = [row for row in ROWS if row["release_date"]]
BEST_AT_RELEASE = (
    *("GPT-2", "davinci-002 (GPT-3)", "gpt-3.5-turbo-instruct", "GPT-4 0314", "GPT-4 1106"),
    *("GPT-4o", "Claude 3.5 Sonnet (Old)", "o1-preview", "Claude 3.5 Sonnet (New)", "o1"),
    "Claude 3.7 Sonnet",
)


def released(row: dict[str, str]) -> date:
    return date.fromisoformat(row["release_date"])


def over(rows: list[dict[str, str]]) -> tuple[list[date], list[float]]:
    return [released(row) for row in rows], [float(row["p50"]) for row in rows]


def best(*more: str) -> list[dict[str, str]]:
    return [row for row in MODELS if row["agent"] in BEST_AT_RELEASE + more]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row["agent"]))
def test_horizons_are_the_published_ones(row: dict[str, str]) -> None:
    curve = Success(float(row["coefficient"]), float(row["intercept"]))
    assert curve.horizon_minutes() == pytest.approx(float(row["p50"]), abs=3.5e-4)
    assert curve.horizon_minutes(0.8) == pytest.approx(float(row["p80"]), abs=4e-5)


@pytest.mark.parametrize(
    ("rows", "models", "days", "r_squared"),
    [
        (best(), 11, 212.96, 0.981),
        (best("o3"), 12, 206.9, 0.974),
        (MODELS, 16, 208.4, 0.951),
        ([row for row in best("o3") if released(row).year >= 2024], 7, 109.0, None),
        ([row for row in MODELS if released(row).year >= 2024], 11, 107.8, None),
    ],
    ids=["best at release", "with o3", "all", "best since 2024", "all since 2024"],
)
def test_doubling_times_are_the_published_ones(
    rows: list[dict[str, str]], models: int, days: float, r_squared: float | None
) -> None:
    seen = trend(*over(rows))
    assert seen.models == models == len(rows)
    assert seen.doubling_days == pytest.approx(days, abs=0.06)
    assert seen.low_days < days < seen.high_days
    if r_squared is not None:
        assert seen.r_squared == pytest.approx(r_squared, abs=6e-4)


def test_the_drawn_interval_is_about_the_published_one() -> None:
    low, high = trend_interval(*over(best()), seed=1)
    assert 171 - 30 < low < 213 < high < 249 + 30


def test_a_known_curve_is_found_again() -> None:
    random = np.random.default_rng(5)
    minutes = 2 ** random.uniform(-4, 10, 4000)
    chance = 1 / (1 + np.exp(-(2.0 - 0.5 * np.log2(minutes))))
    seen = fit_success(minutes.tolist(), random.binomial(1, chance).astype(float).tolist())
    assert seen.coefficient == pytest.approx(-0.5, abs=0.05)
    assert seen.horizon_minutes() == pytest.approx(16, rel=0.2)


def test_parts_of_a_success_and_weights_count() -> None:
    minutes = [1.0, 4.0, 16.0, 64.0] * 5
    split = fit_success(minutes * 2, [1, 1, 1, 0] * 5 + [1, 1, 0, 0] * 5)
    half = fit_success(minutes, [1, 1, 0.5, 0] * 5, [2.0] * 20)
    assert half.horizon_minutes() == pytest.approx(split.horizon_minutes(), rel=0.15)


def test_what_says_nothing_is_refused() -> None:
    with pytest.raises(OperatorError, match="longer or shorter tasks"):
        fit_success([1, 2, 3], [1, 1, 1])
    with pytest.raises(OperatorError, match="3 different days"):
        trend([date(2024, 1, 1), date(2024, 1, 1), date(2025, 1, 1)], [1, 2, 3])


def test_what_does_not_grow_has_no_doubling_time() -> None:
    days = [date(2024, month, 1) for month in range(1, 9)]
    seen = trend(days, [8.0, 7.9, 6, 5, 4.2, 3, 2.2, 2])
    assert seen.doubling_days == float("inf")
