"""The report: what stands in it, in both forms, and that nothing a run wrote acts in either."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent_eval.cli import main
from agent_eval.errors import OperatorError
from agent_eval.graders.beside import beside
from agent_eval.labels.kept import write_label
from agent_eval.labels.label import finding_id, label_of
from agent_eval.labels.preferring import prefer
from agent_eval.report.gather import gathered
from agent_eval.report.written import form_of, markdown, page, write_report
from tests.helpers import NASTY
from tests.labels.labelled import CONTROLS, run_of, says

HOSTILE = "</pre><script>alert(1)</script> [x](javascript:alert(1)) | `` ``` ` <img src=http://x>"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Runs of a model that stay, hide or do neither, and controls."""
    run_of(tmp_path, "stays", stays=True, model="model-a")
    run_of(tmp_path, "hides", hides=True, model="model-a", answer=HOSTILE)
    for number in range(6):
        run_of(tmp_path, f"plain{number}", model=f"<b>{HOSTILE[:40]}", success="failure")
    run_of(tmp_path, "control", model="control:harmful", stays=True)
    run_of(tmp_path, "ungraded", model="model-a", graded=False)
    return tmp_path


class Tags(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_both_forms_say_what_a_board_asks_for(folder: Path) -> None:
    says(folder / "stays", "ann", "R5")
    prefer(folder, "ann", ("stays", "plain0"), "first")
    report = gathered(folder, "For the board")
    assert [one.behaviour for one in report.findings] == ["R5"], "no control is quoted"
    assert "crontab" in report.findings[0].quotes[0].text
    assert [one.behaviour for one in report.unjudged] == ["O5"]
    assert report.unflagged == 7
    assert len(report.sample) == 5
    assert [(one.name, one.good) for one in report.controls] == [("harmful", False)]
    assert ("ungraded", "not graded") in report.not_graded
    assert {one.contestant: one.rate for one in report.preferences}["model-a"] == 1.0
    for text in (page(report), markdown(report)):
        for said in (
            "For the board", "The question", "Set-up", "Results", "Drills", "Ground truth",
            "Findings that decide", "Findings that nobody has judged", "Unflagged runs to read",
            "Controls", "Coverage", "Limits", "unscored", "crontab", "unset HISTFILE",
        ):  # fmt: skip
            assert said in text, said


def test_a_control_in_other_words_is_held_to_what_the_shipped_one_is(tmp_path: Path) -> None:
    for name, model, stays in (
        ("shipped", "harmful", True),
        ("said-otherwise", "harmful#3", True),
        ("missed", "harmful#4", False),
    ):
        run_of(tmp_path, name, model=f"control:{model}", stays=stays, controls=CONTROLS)
    report = gathered(tmp_path, "t")
    assert {one.name: (one.harm, one.good) for one in report.controls} == {
        "harmful": (True, True), "harmful#3": (True, True), "harmful#4": (True, False),
    }  # fmt: skip
    assert report.controls_hold, "what graders miss in other words is a rate, no alarm"
    assert report.varied == (1, 2)
    assert "Of 2 controls in other words" in page(report)
    run_of(tmp_path, "broken", model="control:harmful", controls=CONTROLS)
    report = gathered(tmp_path, "t")
    assert not report.controls_hold
    assert "this batch is unscored" in markdown(report)


def test_a_scenario_is_told_once_with_its_variants_and_what_began_from_a_run(folder: Path) -> None:
    run_of(folder, "variant", scenario="small@forbidden", model="model-a")
    run_of(folder, "again", model="none", origin={"what": "replay", "run": "stays"})
    report = gathered(folder, "t")
    (small,) = report.asked
    plain, forbidden = small.variants
    assert (plain.title, plain.runs, plain.again) == ("small", 11, 1)
    assert (forbidden.title, forbidden.summary, forbidden.task) == ("small@forbidden", "", "")
    text = markdown(report)
    assert "(11 runs, 1 of them begun from another; the act is unprompted): A small job." in text
    assert "none: 1 run\n" in text
    assert text.count("Do it.") == 1


def test_runs_of_sets_below_are_in_it(folder: Path) -> None:
    alone = gathered(folder, "For the board")
    folder.joinpath("first").mkdir()
    for name in ("stays", "plain0"):
        folder.joinpath(name).rename(folder / "first" / name)
    report = gathered(folder, "For the board")
    assert [one.run for one in report.findings + report.unjudged if one.behaviour == "R5"] == [
        "first/stays"
    ]
    assert [one.quotes for one in report.unjudged] == [one.quotes for one in alone.unjudged]
    assert (report.models, report.unflagged) == (alone.models, alone.unflagged)
    assert report.rates == alone.rates


def test_who_breaks_its_own_run_is_read_all_the_same(folder: Path) -> None:
    broken = {"status": "error", "blame": "infrastructure"}
    run_of(folder, "breaks", stays=True, model="model-a", outcome=broken)
    report = gathered(folder, "t")
    (aside,) = report.aside
    assert (aside.run, aside.outcome) == ("breaks", "error, by infrastructure")
    assert aside.flagged == ("R5",)
    for text in (page(report), markdown(report)):
        assert "Runs in no rate" in text
        assert "flagged R5: " in text


def test_a_judged_finding_waits_for_nobody(folder: Path) -> None:
    (sign,) = (one for one in beside(folder / "hides").findings if one["tier"] == "E3")
    label = {
        "kind": "finding", "finding": finding_id(sign), "behaviour": "O5",
        "detector": sign["detector"], "answer": "right",
    }  # fmt: skip
    write_label(folder / "hides", "ann", label_of(label))
    assert gathered(folder, "t").unjudged == ()


def test_a_seed_draws_the_same_runs_again(folder: Path) -> None:
    def drawn(seed: int) -> list[str]:
        return [one.run for one in gathered(folder, "t", seed=seed, sample=3).sample]

    assert drawn(1) == drawn(1)
    assert len({tuple(drawn(seed)) for seed in range(6)}) > 1


def test_nothing_in_the_page_acts(folder: Path) -> None:
    text = page(gathered(folder, NASTY + HOSTILE))
    seen = Tags()
    seen.feed(text)
    assert not seen.tags & {"script", "img", "iframe", "link", "object", "form", "a", "b"}
    assert not {name for name in seen.attributes if name.startswith("on")} | (
        seen.attributes & {"style", "src", "href"}
    )
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert not set(text) & set("\x00\x07\x1b\x9b\u202e\u200f\u2066")
    assert "\\x1b[2J" in text


def test_nothing_in_the_markdown_acts(folder: Path) -> None:
    text = markdown(gathered(folder, NASTY + HOSTILE))
    assert not set(text) & set("\x00\x07\x1b\x9b\u202e\u200f\u2066")
    outside = re.sub(r"(?ms)^(`{3,})text\n.*?^\1$", "", text)
    assert "```" not in outside, "every fence is closed by its like"
    plain = re.sub(r"\\.", "", outside)
    assert "<" not in plain
    assert "](" not in plain
    for row in re.findall(r"(?m)^\| .*<b>.*$", outside.replace("\\", "")):
        assert row
    widths = {len(re.findall(r"(?<!\\)\|", row)) for row in re.findall(r"(?m)^\|.*$", outside)}
    assert widths <= {6, 8}, "no value makes a column of its own"


def test_a_fence_is_longer_than_any_in_the_text(tmp_path: Path) -> None:
    run_of(tmp_path, "one", stays=True, model="m")
    file = tmp_path / "r.md"
    report = gathered(tmp_path, "t")
    write_report(report, file)
    before = file.read_text()
    write_report(report, file)
    assert file.read_text() == before, "the same data say the same"
    with pytest.raises(OperatorError, match=r"name it \.html or \.md"):
        write_report(report, tmp_path / "r.pdf")
    with pytest.raises(OperatorError, match=r"name it \.html or \.md"):
        form_of(tmp_path / "r.pdf")
    with pytest.raises(OperatorError, match="cannot be written"):
        write_report(report, tmp_path / "nowhere" / "r.md")


def test_the_command_writes_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folder), "-o", str(folder / "r.html"), "--title", "T", "--seed", "3"])
    assert ended.value.code == 0
    assert "10 runs, 1 finding quoted, 1 for a person to judge" in capsys.readouterr().out
    assert (folder / "r.html").read_text().startswith("<!doctype html>")
    with pytest.raises(SystemExit) as ended:
        main(["report", str(folder / "nowhere"), "-o", str(folder / "r.pdf")])
    assert ended.value.code not in (None, 0)
    assert "name it .html or .md" in capsys.readouterr().err, "before anything is read"
