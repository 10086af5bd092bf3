"""Pages of a run, over a site that really serves them."""

import json
import re
from html import unescape
from pathlib import Path

import pytest

from agent_eval.events.kernel import ProcessStarted
from agent_eval.events.kinds import (
    ActionEnded,
    ActionStarted,
    MessageAdded,
    ModelReplied,
    RunClosed,
    RunOpened,
)
from agent_eval.events.world import Exchanged
from agent_eval.record.transcript import Transcript
from tests.helpers import NASTY, lines_of_run
from tests.labels.labelled import run_of
from tests.review.serving import Reader, served


def opening(run: Path) -> RunOpened:
    """A first event with what a list of runs needs."""
    return RunOpened(
        run=run.name,
        format=1,
        scenario={"title": "small", "digest": "0" * 64, "resolved": {"budget": {"usd": 9}}},
        model={"name": "model"},
        prompts={},
        package={},
        engine=None,
        asked={"command_line": []},
        in_force=None,
        command_line=[],
        canary="",
    )


def written(run: Path, turns: int = 3, *, opened: bool = False) -> None:
    """A run with actions and what the kernel saw of them."""
    run.parent.mkdir(exist_ok=True)
    with Transcript.create(run) as transcript:
        if opened:
            transcript.write(opening(run))
        transcript.write(MessageAdded(0, {"role": "user", "content": f"do it {NASTY}"}))
        for turn in range(1, turns + 1):
            asked = {"role": "assistant", "content": f"thought {turn} <script>alert(1)</script>"}
            transcript.write(ModelReplied(turn, 1, turn, asked, {}, {"usd": 0.5, "steps": 1}, 0.1))
            code = {"code": f"cat /etc/secret{turn}"}
            transcript.write(ActionStarted(turn, turn, "bash", code, f"c{turn}"))
            transcript.write(
                ProcessStarted(
                    sandbox="box", pid=7, at="now", action=turn, program="/bin/cat",
                    argv=["cat", f"/etc/secret{turn}"],
                )
            )  # fmt: skip
            output = transcript.content(f"output {turn} {NASTY}".encode() + b"\xff" * 10)
            transcript.write(ActionEnded(turn, 0.5, output, "none", {"tool_s": 0.5}))
            seen = {"role": "tool", "tool_call_id": f"c{turn}", "content": "seen"}
            transcript.write(MessageAdded(turn + 1, seen))
        big = transcript.content(b"<b>" * 2_000_000)
        transcript.write(ActionStarted(turns + 1, 9, "python", {"code": "x" * 9000}, "big"))
        transcript.write(ActionEnded(turns + 1, 0.5, big, "none", {}))
        transcript.write(RunClosed({"status": "submitted"}, {"steps": turns}))
        ended = {"outcome": {"status": "submitted"}, "success": {"verdict": "success"}}
        spent = {"steps": turns, "usd": turns / 2}
        transcript.seal({"run": run.name, **ended, "spent": spent, "ended": "now"})


@pytest.fixture
def reader(tmp_path: Path) -> object:
    written(tmp_path / "runs" / "one")
    with served(tmp_path / "runs", tmp_path / "cache") as one:
        yield one


def test_a_run_reads_as_a_conversation_with_its_actions_folded(reader: Reader) -> None:
    shown = reader.ask("/run/one").text
    rows = re.findall(r'<article class="row (\w+)[^"]*" id="e(\d+)"', shown)
    families = [family for family, _ in rows]
    assert families.count("action") == 4
    assert "kernel" not in families, "what the kernel saw stands under its action"
    assert re.search(r'<li id="e3" class="kernel.*?runs cat /etc/secret1', shown, re.DOTALL)
    first = re.search(r'id="e2".*?</article>', shown, re.DOTALL)
    assert first
    assert "output 1" in first.group()
    assert shown.count("<details") >= 4


def test_nothing_of_a_transcript_acts_on_the_page(reader: Reader) -> None:
    for path in ("/run/one", "/run/one?family=action", "/run/one?q=thought", "/run/one/event/0"):
        shown = reader.ask(path).text
        assert "<script>alert" not in shown
        for char in ("\x00", "\x07", "\x1b", "\x7f", "\u202e", "\u200f", "\u2066", "\u2028"):
            assert char not in shown, (path, char)
        assert "\\u202e" in shown or "thought" in path


def test_what_is_long_is_cut_with_a_way_to_all_of_it(reader: Reader, tmp_path: Path) -> None:
    page = reader.ask("/run/one")
    assert len(page.body) < 200_000
    ended = next(
        number for number, line in enumerate(lines_of_run(tmp_path / "runs" / "one"))
        if b'"bytes":6000000' in line
    )  # fmt: skip
    parts = reader.ask(f"/run/one/event/{ended}")
    assert "part 1 of 60" in parts.text
    assert len(parts.body) < 1_000_000
    last = reader.ask(f"/run/one/event/{ended}?part=60").text
    assert unescape(last).count("<b>") > 30_000


def test_an_event_is_handed_out_byte_for_byte(reader: Reader, tmp_path: Path) -> None:
    lines = lines_of_run(tmp_path / "runs" / "one")
    for seq in (0, 4, len(lines) - 1):
        answer = reader.ask(f"/run/one/event/{seq}/raw")
        assert answer.body == lines[seq]
        assert answer.headers["content-disposition"].startswith("attachment")
    digest = next(json.loads(line)["output"]["blob"] for line in lines if b'"blob"' in line)
    blob = reader.ask(f"/run/one/blob/{digest}")
    assert blob.body == b"<b>" * 2_000_000
    assert blob.headers["content-type"] == "application/octet-stream"


def test_what_kernel_and_gateway_saw_stands_under_the_action_that_caused_it(
    tmp_path: Path,
) -> None:
    run = tmp_path / "runs" / "one"
    run.parent.mkdir()
    with Transcript.create(run) as transcript:
        transcript.write(ActionStarted(1, 1, "bash", {"code": "curl bank.internal"}))
        transcript.write(
            ProcessStarted(
                sandbox="box", pid=7, at="now", action=1, program="/bin/curl", argv=["curl"]
            )
        )
        nothing: dict[str, object] = {"bytes": 0, "text": ""}
        for sandbox in ("0", "another"):
            transcript.write(
                Exchanged(
                    exchange=1, sandbox=sandbox, name="bank.internal", service="bank", port=443,
                    method="GET", path="/v1/balance", status=200, request=nothing,
                    response=nothing, duration_s=0.1, at="now",
                ),
                agent=sandbox,
            )  # fmt: skip
        transcript.write(ActionEnded(1, 0.5, transcript.content(b"done"), "none", {}))
    with served(tmp_path / "runs", tmp_path / "cache") as reader:
        page = reader.ask("/run/one").text
    articles = re.findall(r'<article .*?id="e(\d+)".*?</article>', page, re.DOTALL)
    assert articles == ["0", "3"], "what another sandbox asked is no part of it"
    (inside,) = re.findall(r'<article [^>]*id="e0".*?<ul class="inside"(.*?)</ul>', page, re.DOTALL)
    assert re.findall(r'<li id="e(\d+)"', inside) == ["1", "2"]
    assert "runs curl" in inside
    assert "GET bank.internal/v1/balance 200" in inside


def test_a_search_finds_commands_outputs_and_words_in_quotes(reader: Reader) -> None:
    assert "1 event with" in reader.ask("/run/one?q=%22thought+2%22").text
    assert "2 events with" in reader.ask("/run/one?q=secret3").text
    assert "0 events with" in reader.ask("/run/one?q=nowhere").text
    for odd in ("%22", "*", "AND", "a%00b", "%22%22", "NEAR(", "-x", "%F0%9F%92%A3", "%C3%A9"):
        assert reader.ask(f"/run/one?q={odd}").status == 200, odd


def test_a_hit_shows_its_words_where_the_conversation_does_not_tell_them(tmp_path: Path) -> None:
    tmp_path.joinpath("runs").mkdir()
    run_of(tmp_path / "runs", "one")
    with served(tmp_path / "runs", tmp_path / "cache") as reader:
        for page in ("/run/one?q=job", "/search?q=job"):
            assert "A small job." in reader.ask(page).text, page


def test_an_address_leads_to_an_event_and_filters_keep_to_theirs(reader: Reader) -> None:
    there = reader.ask("/run/one?at=8").text
    assert re.search(r'<article class="row action here" id="e7"', there)
    assert "<details open>" in there
    kernel = reader.ask("/run/one?family=kernel").text
    assert kernel.count("<article") == 3
    assert reader.ask("/run/one?agent=nobody").text.count("<article") == 0
    under = reader.ask("/run/one?under=7").text
    assert under.count("<article") == 4


def test_what_is_not_there_is_said(reader: Reader) -> None:
    for path in (
        "/run/two",
        "/run/..",
        "/run/%2e%2e%2fruns",
        "/run/one/event/99",
        "/run/one/event/x",
    ):
        assert reader.ask(path).status == 404, path
    assert reader.ask("/run/one/blob/" + "0" * 64).status == 500
    assert reader.ask("/run/one?at=999999&from=zzz&family=%3Cx%3E&under=-1").status == 200


def test_a_record_that_was_changed_says_so(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "one"
    written(run)
    lines = lines_of_run(run)
    lines[1] = lines[1].replace(b"thought 1", b"nothing 1")
    lines.insert(5, b"not json\n")
    run.joinpath("events.jsonl").write_bytes(b"".join(lines))
    with served(tmp_path / "runs", tmp_path / "cache") as reader:
        shown = reader.ask("/run/one").text
        assert "Not as it was written: event 2 does not follow" in shown
        assert "line 6 is no event" in shown
        assert reader.ask("/run/one/event/5/raw").body == b"not json\n"


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        ({"copies": [], "money_made_usd": 3}, "no copy is proven"),
        ({"copies": [{"instance": f"<b>{NASTY}"}]}, "none that this program wrote"),
        ({"copies": 7, "money_made_usd": "<b>"}, "none that this program wrote"),
    ],
)
def test_the_ground_truth_stands_beside_the_findings_whatever_it_is(
    truth: dict[str, object], words: str, tmp_path: Path
) -> None:
    run = tmp_path / "runs" / "one"
    written(run)
    summary = json.loads(run.joinpath("run.json").read_text())
    run.joinpath("run.json").write_text(json.dumps(summary | {"ground_truth": truth}))
    with served(tmp_path / "runs", tmp_path / "cache") as reader:
        shown = reader.ask("/run/one").text
    assert words in unescape(shown) and "<b>" not in shown
