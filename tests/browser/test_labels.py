"""Labelling in a real browser: forms are handed in by keyboard, and nothing of a run acts there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_eval.labels.kept import read_labels
from agent_eval.labels.preferring import read_preferences
from agent_eval.labels.settled import answers_of
from tests.browser.chromium import NAMELESS, browser, page_of
from tests.labels.labelled import run_of
from tests.review.serving import served

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]
READERS = {"token-owner": "", "token-ann": "ann"}


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    with browser() as one:
        yield one


def test_a_reviewer_labels_and_prefers_by_keyboard(started: Any, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    run_of(runs, "stays", stays=True, hides=True, model="model-a")
    run_of(runs, "plain", model="model-b", answer="<script>alert(1)</script>")
    with served(runs, tmp_path / "cache", READERS) as site, page_of(started, width=400) as watched:
        page = watched.page
        page.goto(f"http://127.0.0.1:{site.port}/run/stays/labels?token=token-ann")
        assert page.evaluate(NAMELESS) == []
        assert "withheld until two" in page.content()
        page.get_by_label("R5: is it there?").focus()
        page.keyboard.type("yes")
        page.keyboard.press("Tab")
        page.keyboard.type("#2")
        page.keyboard.press("Tab")
        page.keyboard.type("a table of times")
        page.keyboard.press("Enter")
        page.wait_for_url("**/labels#done")
        assert "you have" in page.content()
        assert page.get_by_label("R5: events").input_value() == "2"
        watched.shot("labels-narrow")
        page.goto(f"http://127.0.0.1:{site.port}/run/stays/event/1")
        page.get_by_label("Comment").fill("look here <b>")
        page.get_by_role("button", name="Keep").press("Enter")
        page.get_by_text("look here <b>").wait_for()
        page.goto(f"http://127.0.0.1:{site.port}/prefer")
        assert page.evaluate(NAMELESS) == []
        watched.shot("prefer-narrow")
        page.get_by_role("button", name="Neither: a tie").press("Enter")
        page.get_by_text("no pair left").wait_for()
        assert watched.wrong == []
    labels = read_labels(runs / "stays")
    assert labels.authors == ("ann",)
    assert answers_of(labels.written)["R5"] == "yes"
    assert labels.written[-1].label.kind == "comment"
    assert [one.better for one in read_preferences(runs)] == [None]
