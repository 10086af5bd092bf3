"""The review site in a real browser: by keyboard and mouse, and with a transcript that attacks."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_eval.events.agents import DelegationRefused
from agent_eval.events.kinds import (
    ActionEnded,
    ActionStarted,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunClosed,
)
from agent_eval.graders.written import grade_run
from agent_eval.record.transcript import Transcript
from agent_eval.review.export import export
from tests.browser.chromium import NAMELESS, Watched, browser, page_of
from tests.helpers import NASTY
from tests.review.serving import TOKEN, Reader, served
from tests.review.test_run_pages import written

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("browser")]

EVIL = (
    "<script>window.owned = 1</script><img src=x onerror='window.owned = 2'>"
    "<a href='javascript:window.owned=3'>x</a></pre></details></article><!-- <style>*{display:none}"
    "</style></script><svg onload=window.owned=4><iframe src=//elsewhere.example></iframe>{{7*7}}"
)


def storm(run: Path, more: bool = True) -> Transcript:
    """A run that goes on, in which copies are asked for again and again."""
    run.parent.mkdir(exist_ok=True)
    transcript = Transcript.create(run)
    transcript.write(MessageAdded(0, {"role": "user", "content": "have copies"}))
    if more:
        refuse(transcript)
    return transcript


def refuse(transcript: Transcript) -> None:
    for call in (1, 2, 3):
        transcript.write(DelegationRefused(call, f"c{call}", "a task", "depth", "too deep"))


def hostile(run: Path) -> None:
    """A run that holds whatever could act on a page."""
    run.parent.mkdir(exist_ok=True)
    with Transcript.create(run) as transcript:
        transcript.write(MessageAdded(0, {"role": "user", "content": EVIL + NASTY}))
        transcript.write(MessageAdded(1, {"role": EVIL, "content": "\u202eevil\u202c" * 99}))
        for turn in range(1, 30):
            code = {"code": EVIL * turn + "x" * 4000}
            transcript.write(ActionStarted(turn, turn, EVIL, code), agent=f"0.{EVIL}"[:300])
            output = transcript.content(bytes(range(256)) * 40)
            ended = ActionEnded(turn, 0.1, output, "none", {})
            transcript.write(ended, agent=f"0.{EVIL}"[:300])
        line = transcript.content(b"<b>5 MB</b>" + b"y" * 5_000_000)
        transcript.write(ActionStarted(99, 99, "bash", {"code": "yes"}))
        transcript.write(ActionEnded(99, 0.1, line, "none", {}))
        transcript.write(MessageAdded(2, {"role": "user", "content": "z" * 5_000_000}))
        transcript.write(RunClosed({"status": EVIL, "blame": EVIL}, {"steps": EVIL}))
        transcript.seal({"run": run.name})


@pytest.fixture(scope="module")
def started() -> Iterator[Any]:
    with browser() as one:
        yield one


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Reader]:
    runs = tmp_path / "runs"
    written(runs / "one", turns=60)
    for name, turns in (("alpha", 5), ("beta", 3)):
        written(runs / name, turns, opened=True)
    with storm(runs / "storm") as transcript:
        transcript.write(RunClosed({"status": "submitted"}, {}))
        transcript.seal({"run": "storm"})
    grade_run(runs / "storm")
    with served(runs, tmp_path / "cache") as reader:
        yield reader


def entered(watched: Watched, reader: Reader, path: str) -> Any:
    watched.page.goto(
        f"http://127.0.0.1:{reader.port}{path}{'&' if '?' in path else '?'}token={TOKEN}"
    )
    return watched.page


def focused(page: Any) -> str:
    return str(page.evaluate("document.activeElement.id || document.activeElement.tagName"))


def test_a_run_is_read_by_keyboard_alone(started: Any, site: Reader) -> None:
    with page_of(started) as watched:
        page = entered(watched, site, "/run/one")
        for key in ("j", "j", "j"):
            page.keyboard.press(key)
        assert focused(page) == "e2"
        row = page.locator("#e2 > details")
        assert row.get_attribute("open") is None
        page.keyboard.press("Enter")
        assert row.get_attribute("open") is not None
        assert page.locator("#e2").evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        watched.shot("row-opened-by-keyboard")
        page.keyboard.press("o")
        assert row.get_attribute("open") is None
        page.keyboard.press("k")
        assert focused(page) == "e1"
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        page.keyboard.press("j")
        watched.shot("help")
        page.keyboard.press("Escape")
        assert page.locator("#help").is_hidden()
        page.keyboard.press("n")
        page.wait_for_url("**from=*")
        page.keyboard.press("p")
        page.wait_for_url(re.compile("from=0"))
        page.keyboard.press("/")
        assert focused(page) == "q"
        page.keyboard.type("secret59")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=secret59")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_url("**#e*")
        assert page.locator(".row.here").count() == 1
        assert watched.wrong == []


EARLIEST = """new MutationObserver((_, watching) => {
  if (!document.querySelector('#rows .row')) return;
  watching.disconnect();
  const key = new KeyboardEvent('keydown', {key: '/', bubbles: true, cancelable: true});
  document.body.dispatchEvent(key);
}).observe(document, {childList: true, subtree: true})"""
"""Presses a key at the very moment at which the first row is there, before anybody can see it."""


def test_a_key_that_comes_with_the_first_row_is_not_lost(started: Any, site: Reader) -> None:
    with page_of(started) as watched:
        watched.page.add_init_script(EARLIEST)
        page = entered(watched, site, "/run/one")
        assert focused(page) == "q"
        page.keyboard.type("secret59")
        page.keyboard.press("Enter")
        page.wait_for_url("**q=secret59")
        assert page.locator(".row.hit").count() > 0
        assert watched.wrong == []


def test_a_search_in_what_is_still_being_read_ends_by_itself(started: Any, tmp_path: Path) -> None:
    run = tmp_path / "runs" / "long"
    run.parent.mkdir()
    with Transcript.create(run) as transcript:
        step = {"role": "user", "content": "a step of many"}
        for _ in range(10):
            transcript.write_many([(MessageAdded(0, step), "0")] * 3000)
        deep = transcript.content(b"deep in a file of its own\n" * 5000)
        transcript.write(ActionEnded(1, 0.1, deep, "none", {}))
        transcript.write(RunClosed({"status": "submitted"}, {}))
        transcript.seal({"run": "long"})
    with served(run.parent, tmp_path / "cache") as reader, page_of(started) as watched:
        assert "still being read" in reader.ask("/run/long?q=deep").text
        page = entered(watched, reader, "/run/long?q=deep")
        page.locator("#e30000.hit").wait_for()
        page.get_by_role("heading", name="1 event with deep").wait_for()
        assert page.locator("a[rel=again]").count() == 0
        assert watched.wrong == []


def test_findings_lead_to_their_evidence_and_back(started: Any, site: Reader) -> None:
    with page_of(started) as watched:
        page = entered(watched, site, "/run/storm")
        page.locator("#f1 .cites a").first.click()
        page.wait_for_url("**at=1#e1")
        assert page.locator("#e1.here.cited").count() == 1
        page.locator("#e1 .mark").first.click()
        page.wait_for_url("**#f1")
        page.keyboard.press("f")
        assert focused(page) == "e2"
        page.keyboard.press("F")
        assert focused(page) == "e1"
        page.get_by_role("link", name="Pictures").click()
        page.locator("svg a").first.click()
        page.wait_for_url("**at=1#e1")
        assert watched.wrong == []


def test_runs_are_filtered_sorted_compared_and_searched(started: Any, site: Reader) -> None:
    with page_of(started) as watched:
        page = entered(watched, site, "/?sort=steps&model=model")
        assert page.locator("tbody a.open").all_inner_texts() == ["alpha", "beta"]
        page.get_by_label("compare alpha").check()
        page.get_by_label("with beta").check()
        page.get_by_role("button", name="Compare the two chosen").click()
        page.wait_for_url("**a=alpha&b=beta")
        assert page.locator("#first").count() == 1
        watched.shot("two-runs")
        page.locator("input[type=search]").fill("secret3")
        page.keyboard.press("Enter")
        page.wait_for_url("**/search**")
        assert page.locator("main h2").count() == 3
        page.locator("a.open").first.click()
        page.wait_for_url("**#e*")
        assert watched.wrong == []


SIDEWAYS = """() => [...document.querySelectorAll('.wide:has(table)')]
  .filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.outerHTML.slice(0, 120))"""
"""Tables that have to be scrolled to be read."""


@pytest.mark.parametrize("width", [400, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_hostile_transcript_does_nothing(
    started: Any, tmp_path: Path, width: int, scheme: str
) -> None:
    hostile(tmp_path / "runs" / "evil")
    written(tmp_path / "runs" / "one", opened=True)
    grounds = {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}
    with (
        served(tmp_path / "runs", tmp_path / "cache") as reader,
        page_of(started, width, scheme) as watched,
    ):
        for name, path in {
            "runs": "/",
            "run": "/run/evil",
            "flat": "/run/evil?family=action",
            "found": "/run/evil?q=owned",
            "event": "/run/evil/event/1",
            "large": "/run/evil/event/61",
            "pictures": "/run/evil/pictures",
            "compare": "/compare?a=one&b=evil",
            "labels": "/run/evil/labels",
            "search": "/search?q=owned",
        }.items():
            page = entered(watched, reader, path)
            page.keyboard.press("a")  # opens all
            assert page.evaluate("window.owned") is None, name
            assert page.evaluate("document.querySelectorAll('iframe, img, pre script').length") == 0
            assert len(page.content()) < 1_000_000, name
            assert watched.too_wide() <= 0, name
            assert page.evaluate(NAMELESS) == [], name
            assert page.evaluate(SIDEWAYS) == [], name
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert ground == grounds[scheme]
            watched.shot(f"hostile-{name}-{width}-{scheme}")
        assert watched.wrong == []
        assert all(url.startswith(f"http://127.0.0.1:{reader.port}/") for url in watched.asked)


def test_a_run_that_goes_on_comes_in_with_what_is_found(started: Any, tmp_path: Path) -> None:
    with (
        storm(tmp_path / "runs" / "live", more=False) as transcript,
        served(tmp_path / "runs", tmp_path / "cache") as reader,
        page_of(started) as watched,
    ):
        page = entered(watched, reader, "/run/live")
        transcript.write(ActionStarted(1, 1, "bash", {"code": "sleep 9"}), agent="0.1")
        page.wait_for_selector("text=under way")
        output = transcript.content(b"it is done")
        transcript.write(ActionEnded(1, 9.0, output, "none", {}), agent="0.1")
        page.wait_for_selector("text=9.00 s, 10 bytes")
        refuse(transcript)
        told = page.locator("#said[role=status][aria-live=polite]")
        told.get_by_text("Found: R2 blocked").wait_for()
        watched.shot("goes-on")
        transcript.write(RunClosed({"status": "submitted"}, {}))
        transcript.seal({"run": "live"})
        transcript.close()
        told.get_by_text("The run has ended").wait_for()
        assert page.locator("#e1").count() == 1
        assert watched.wrong == []


def test_a_long_run_that_goes_on_is_watched_from_any_page(started: Any, tmp_path: Path) -> None:
    with (
        storm(tmp_path / "runs" / "live", more=False) as transcript,
        served(tmp_path / "runs", tmp_path / "cache") as reader,
        page_of(started) as watched,
    ):
        step = {"role": "user", "content": "a step"}
        transcript.write_many([(MessageAdded(0, step), "0")] * 150)
        page = entered(watched, reader, "/run/live")
        refuse(transcript)
        page.locator("#said").get_by_text("Found: R2 blocked").wait_for()
        assert page.locator("#rows .row").count() == 100, "what is new belongs on the last page"
        page.get_by_role("link", name="Last").first.click()
        page.locator("#e153").wait_for()
        answer = {"role": "tool", "tool_call_id": "c1", "content": "no copy was made"}
        transcript.write(MessageAdded(1, answer))
        page.locator("#e151 .inside #e154").wait_for(state="attached")
        transcript.write(ModelCalled(4, 1, [[0, 1]], "0" * 64, {}))
        page.locator(".row#e155.fresh").wait_for()
        said = {"role": "assistant", "content": "the newest"}
        transcript.write(ModelReplied(4, 1, 2, said, {}, {"steps": 1}, 0.1))
        page.locator(".row#e156.fresh").get_by_text("the newest").wait_for()
        assert page.locator(".row#e155").count() == 0, "the call stands in the row of its reply"
        assert page.locator(".row.fresh").count() == 1
        assert watched.wrong == []


def test_an_exported_run_opens_from_disk_with_nothing_else(started: Any, tmp_path: Path) -> None:
    hostile(tmp_path / "runs" / "evil")
    file = tmp_path / "evil.html"
    withheld = export(tmp_path / "runs" / "evil", file, tmp_path)
    assert [one.size for one in withheld] == [5_000_011]
    with page_of(started) as watched:
        page = watched.page
        page.goto(file.as_uri())
        assert page.evaluate("window.owned") is None
        assert page.locator("#withheld").get_by_text("5,000,011 bytes").count() == 1
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        assert page.locator("#e2 > details").get_attribute("open") is not None
        watched.shot("exported")
        page.keyboard.press("e")
        page.wait_for_url("**#raw2")
        page.locator("#raw2 pre").wait_for()
        assert watched.wrong == []
        assert watched.asked == [file.as_uri()]
