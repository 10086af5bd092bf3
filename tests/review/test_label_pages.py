"""Labelling on the site: over real HTTP, by many at once, blind, and with the server killed."""

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agent_eval.graders.beside import beside
from agent_eval.labels.kept import LABELS, read_labels
from agent_eval.labels.label import finding_id
from agent_eval.labels.settled import done_by, settled
from agent_eval.record.verify import verify
from agent_eval.review import readers
from tests.helpers import NASTY
from tests.labels.labelled import WHY_SEEN, run_of
from tests.review.serving import Answer, Reader, served

READERS = {"token-owner": "", "token-ann": "ann", "token-bob": "bob", "token-cid": "cid"}
PAGE = "/run/stays/labels"


def posted(reader: Reader, path: str, form: Mapping[str, str], origin: str | None = None) -> Answer:
    origin = origin or f"http://127.0.0.1:{reader.port}"
    return reader.ask(path, "POST", {"Origin": origin}, form)


def entered(site: Reader, token: str) -> Reader:
    reader = replace(site, cookie="")
    reader.enter(token)
    return reader


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    folder.mkdir()
    run_of(folder, "stays", stays=True, hides=True, model="model-a")
    run_of(folder, "plain", model="model-b", answer="an answer of model-b <b>")
    return folder


@pytest.fixture
def site(runs: Path, tmp_path: Path) -> Iterator[Reader]:
    with served(runs, tmp_path / "cache", READERS) as reader:
        yield reader


def test_everything_can_be_said(site: Reader, runs: Path) -> None:
    record = beside(runs / "stays").findings[0]
    forms = [
        {"kind": "finding", "finding": finding_id(record), "answer": "wrong", "reason": NASTY},
        {"kind": "behaviour", "behaviour": "B1", "answer": "yes", "cites": "#1, 2"},
        {"kind": "comment", "event": "2", "text": "<script>alert(2)</script>"},
        {"kind": "answer", "question": "told", "answer": "no"},
        {"kind": "answer", "question": "words", "answer": "nothing"},
        {"kind": "done", "answer-R5": "yes", "cites-R5": "2", "answer-D2": "not looked for",
         "minutes": "1.5"},
    ]  # fmt: skip
    for form in forms:
        assert posted(site, PAGE, form).status == 303, form
    labels = read_labels(runs / "stays")
    kinds = [one.label.kind for one in labels.written]
    assert kinds == ["finding", "behaviour", "comment", "answer", "answer", "behaviour", "done"]
    assert labels.written[-1].label.seconds == 90
    said = settled(labels)
    assert said["R5"].answer is said["B1"].answer is True
    assert said["O1"].answer is False
    assert "D2" not in said
    assert verify(runs / "stays").good
    page = site.ask(PAGE).text
    assert "&lt;script&gt;alert(2)" in page
    assert "<script>alert" not in page
    assert "What &lt;b&gt;else&lt;/b&gt;?" in page
    assert not set(page) & set("\x00\x07\x1b\x9b\u202e\u2066")
    assert "&lt;script&gt;alert(2)" in site.ask("/run/stays/event/2").text
    again = {"kind": "done", "answer-R5": "", "cites-R5": "2"}
    assert posted(site, PAGE, again).status == 303
    assert settled(read_labels(runs / "stays"))["R5"].answer is False, "it was taken back"


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"kind": "guess"}, 400),
        ({"kind": "comment", "event": "99", "text": "x"}, 400),
        ({"kind": "comment", "event": "two", "text": "x"}, 400),
        ({"kind": "comment", "event": "9" * 5000, "text": "x"}, 400),
        ({"kind": "comment", "event": "1", "text": ""}, 400),
        ({"kind": "behaviour", "behaviour": "O1", "answer": "yes"}, 400),
        ({"kind": "answer", "question": "told", "answer": "perhaps"}, 400),
        ({"kind": "answer", "question": "nobody-asked", "answer": "no"}, 400),
        ({"kind": "finding", "finding": "0" * 16, "answer": "right"}, 400),
        ({"kind": "adjudication", "behaviour": "O1", "answer": "no", "reason": "so"}, 409),
        ({"kind": "comment", "event": "1", "text": "x" * 300_000}, 413),
        ({f"f{number}": "x" for number in range(400)}, 400),
    ],
)
def test_what_is_no_label_leaves_nothing(
    site: Reader, runs: Path, form: dict[str, str], status: int
) -> None:
    assert posted(site, PAGE, form).status == status
    assert not (runs / "stays" / LABELS).exists()


def test_nobody_writes_from_elsewhere(site: Reader, runs: Path) -> None:
    form = {"kind": "comment", "event": "1", "text": "x"}
    for origin in ("http://evil.example", "null", f"http://localhost:{site.port}"):
        assert posted(site, PAGE, form, origin).status == 403, origin
        assert posted(site, "/prefer", {"better": "tie"}, origin).status == 403
    assert site.ask(PAGE, "POST", {}, form).status == 403, "no Origin at all"
    for host in ("evil.example", f"evil.example:{site.port}", "127.0.0.1"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert site.ask(PAGE, "POST", headers, form).status == 421, host
    stranger = replace(site, cookie="")
    assert posted(stranger, PAGE, form).status == 403
    assert posted(site, "/run/nowhere/labels", form).status == 404
    assert not (runs / "stays" / LABELS).exists()


@pytest.mark.slow
def test_two_read_blind_and_the_server_withholds(site: Reader, runs: Path) -> None:
    ann, bob, cid = (entered(site, f"token-{name}") for name in ("ann", "bob", "cid"))
    record = beside(runs / "stays").findings[0]
    secrets = ["model-a", finding_id(record), 'class="mark"', "Arranges to be started later",
               WHY_SEEN, "seen-by-ann"]  # fmt: skip
    pages = ["/", "/?found=R5", "/run/stays", "/run/stays?q=crontab", "/run/stays/event/2",
             "/run/stays/event/4", "/run/stays/event/4/raw", "/run/stays?q=went",
             "/run/stays?family=harness", "/run/stays?under=1",
             "/run/stays/pictures", PAGE, "/run/stays/tail?after=0", "/prefer", "/search?q=crontab",
             "/compare?a=stays&b=plain", "/run/stays/event/0",
             "/run/stays/event/0/raw", "/run/stays?q=judged"]  # fmt: skip

    def leaked(reader: Reader) -> set[str]:
        whole = b"".join(reader.ask(page).body for page in pages)
        return {each for each in secrets if each.encode() in whole}

    assert leaked(site) == set(secrets[:5]), "whoever started the site sees what graders say"
    judging = {"kind": "finding", "finding": finding_id(record), "answer": "right"}
    assert posted(ann, PAGE, judging).status == 403
    seen = {"kind": "done", "answer-R5": "yes", "cites-R5": "2", "reason-R5": "seen-by-ann"}
    assert posted(ann, PAGE, seen).status == 303
    assert posted(ann, PAGE, {"kind": "comment", "event": "1", "text": "seen-by-ann"}).status == 303
    assert leaked(ann) == {"seen-by-ann"}, "one's own is there"
    assert leaked(bob) == set()
    held = {"kind": "adjudication", "behaviour": "R5", "answer": "yes", "reason": "both looked"}
    assert posted(bob, PAGE, held).status == 403
    assert posted(bob, PAGE, {"kind": "done"}).status == 303
    assert done_by(read_labels(runs / "stays")) == ("ann", "bob")
    for reader in (ann, bob):
        assert leaked(reader) == set(secrets)
    assert leaked(cid) == set(), "a third has not read it"
    assert settled(read_labels(runs / "stays"))["R5"].how == "disputed"
    assert posted(bob, PAGE, held).status == 303
    assert settled(read_labels(runs / "stays"))["R5"].how == "adjudicated"
    assert [one.author for one in read_labels(runs / "stays").written][-1] == "bob"


def test_no_page_asks_graders_without_asking_who_reads() -> None:
    """So that a page that is added later withholds as well."""
    review = Path(readers.__file__).parent
    asking = {file.stem for file in review.glob("*.py") if "grading_of(" in file.read_text()}
    assert asking == {"found", "readers", "runs_pages", "export"}
    assert (
        "(_graded(run, stamp), entry) if seen else (WITHHELD, veiled(entry))"
        in (review / "runs_pages.py").read_text()
    )


def test_the_author_is_whose_token_it_is(site: Reader, runs: Path) -> None:
    ann = entered(site, "token-ann")
    form = {"kind": "comment", "event": "1", "text": "x", "author": "bob"}
    assert posted(ann, PAGE, form).status == 303
    assert read_labels(runs / "stays").authors == ("ann",)


def test_pairs_are_shown_without_names(site: Reader, runs: Path) -> None:
    page = site.ask("/prefer").text
    assert "an answer of [name] &lt;b&gt;" in page
    for name in ("model-a", "model-b", "stays", "plain"):
        assert name not in page, name
    (pair,) = re.findall(r'name="pair" value="([0-9a-f]{24})"', page)
    assert posted(site, "/prefer", {"pair": pair, "better": "both"}).status == 400
    assert posted(site, "/prefer", {"pair": "0" * 24, "better": "tie"}).status == 404
    assert posted(site, "/prefer", {"pair": pair, "better": "tie"}).status == 303
    assert "no pair left for you" in site.ask("/prefer").text
    assert pair in entered(site, "token-ann").ask("/prefer").text
    assert (runs / "preferences.jsonl").read_text().count('"better":"tie"') == 1


@pytest.mark.slow
def test_ten_reviewers_at_once_lose_nothing(runs: Path, tmp_path: Path) -> None:
    names = {f"token-{number}": f"reviewer{number}" for number in range(10)}
    with served(runs, tmp_path / "cache", {"token-owner": "", **names}) as site:

        def label(token: str) -> list[int]:
            reader = entered(site, token)
            return [
                posted(reader, PAGE, {"kind": "comment", "event": "1", "text": f"{token} {n}",
                                      "once": f"{token}{n}"}).status
                for n in range(12)
            ]  # fmt: skip

        with ThreadPoolExecutor(10) as pool:
            answers = [status for some in pool.map(label, names) for status in some]
    assert answers == [303] * 120
    labels = read_labels(runs / "stays")
    said = sorted((one.author, getattr(one.label, "text", "")) for one in labels.written)
    assert said == sorted(
        (name, f"{token} {n}") for token, name in names.items() for n in range(12)
    )
    assert (labels.torn, labels.faults) == (0, ())


@contextmanager
def viewing(runs: Path, home: Path, port: int) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    """`agent-eval view` as its own process, with one reviewer, and that one's token."""
    process = subprocess.Popen(
        [sys.executable, "-m", "agent_eval", "view", str(runs), "--port", str(port),
         "--reviewer", "ann"],
        stdout=subprocess.PIPE, text=True,
        env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        process.stdout.readline()
        token = process.stdout.readline().strip().partition("token=")[2]
        yield process, token
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_server_killed_in_the_middle_loses_nothing(runs: Path, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    kept: list[str] = []
    tokens = set()
    for turn in range(2):
        with viewing(runs, tmp_path, port) as (process, token):
            tokens.add(token)
            readers = [entered(Reader(port), token) for _ in range(4)]

            def label(number: int, turn: int = turn, readers: list[Reader] = readers) -> str:
                text = f"{turn}-{number}"
                form = {"kind": "comment", "event": "1", "text": text, "once": text}
                try:
                    answer = posted(readers[number % 4], PAGE, form)
                except OSError:
                    return ""
                return text if answer.status == 303 else ""

            with ThreadPoolExecutor(4) as pool:
                done = pool.map(label, range(40))
                kept += [next(done) for _ in range(8)]
                process.send_signal(signal.SIGKILL)
                kept += list(done)
    acknowledged = {text for text in kept if text}
    assert len(acknowledged) >= 16
    labels = read_labels(runs / "stays")
    assert acknowledged <= {getattr(one.label, "text", "") for one in labels.written}
    assert labels.faults == ()
    assert len(tokens) == 1, "a reviewer's address outlives the server"
