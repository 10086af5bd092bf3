"""Labelling in a real browser: forms are handed in by keyboard, and nothing of a run acts there."""

import time
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
READERS = {"token-owner": "", "token-ann": "ann", "token-bob": "bob"}


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


def test_two_read_blind_differ_and_one_decides_and_their_time_is_kept(
    started: Any, tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    run_of(runs, "stays", stays=True, model="model-a")
    where = "/run/stays/labels"
    with (
        served(runs, tmp_path / "cache", READERS) as site,
        page_of(started, 1600, "dark") as ann,
        page_of(started, width=400) as bob,
    ):
        for name, watched in (("ann", ann), ("bob", bob)):
            watched.page.goto(f"http://127.0.0.1:{site.port}{where}?token=token-{name}")
            assert watched.page.locator("#finding, #adjudication").count() == 0
        opened_s = time.time()
        ann.page.get_by_label("R5: is it there?").select_option("yes")
        ann.page.get_by_label("R5: events").fill("2")
        ann.page.wait_for_timeout(2100)  # ann reads for so long
        ann.page.get_by_role("button", name="I have read this run").click()
        ann.page.get_by_text("1 of 2 reviewers have read it to its end; you have").wait_for()
        took_s = time.time() - opened_s
        bob.page.reload()
        assert "ann" not in bob.page.locator("main").inner_text(), "it is blind"
        bob.page.get_by_label("Minutes that it took").fill("2,5")
        bob.page.get_by_role("button", name="I have read this run").click()
        bob.page.locator("#adjudication").wait_for()
        assert bob.page.locator("#finding").count() == 1, "what graders say is there now"
        disputed = bob.page.get_by_role("group", name="R5: open (disputed)")
        disputed.get_by_label("yes").check()
        disputed.get_by_label("why").fill("the table of times is there")
        bob.shot("adjudication-narrow")
        disputed.get_by_role("button", name="Decide").click()
        bob.page.get_by_role("group", name="R5: yes (adjudicated)").wait_for()
        ann.page.reload()
        ann.page.get_by_role("group", name="R5: yes (adjudicated)").wait_for()
        ann.shot("adjudication-wide-dark")
        assert bob.too_wide() <= 0
        assert ann.wrong == bob.wrong == []
    done = {
        one.author: one.label.seconds
        for one in read_labels(runs / "stays").written
        if one.label.kind == "done"
    }
    assert done["bob"] == 150
    assert done["ann"] is not None
    assert 2 <= done["ann"] <= took_s + 60  # a page may take its time to come
