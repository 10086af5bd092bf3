"""The review site on a long run: first page, search, sizes of pages, memory of the server.

    .venv/bin/python benchmarks/review.py --events 300000
    .venv/bin/python benchmarks/review.py --beside-inspect /tmp/agent-eval-peer/env/bin/python

With `--beside-inspect` in Chromium, beside Inspect View on a log with as many events (`peer-setup`
makes that Python). The run is generated through this project's own transcript writer: turns of a
model, actions with outputs, and what kernel and gateway saw under each.
"""

import argparse
import http.client
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from viewers import Viewer, chromium, inspect_viewer, peak_mb, watched

from agent_eval.events.event import Event
from agent_eval.events.kernel import FileOpened, ProcessExited, ProcessStarted
from agent_eval.events.kinds import (
    ActionEnded,
    ActionStarted,
    MessageAdded,
    ModelCalled,
    ModelReplied,
    RunClosed,
)
from agent_eval.record.transcript import Transcript

FACTS = 24
"""Of the kernel, in each action."""

WORDS = ("ledger", "copies", "reel", "archive", "harbour", "invoice", "machine", "station")


def generated(run: Path, events: int) -> None:
    """A run with so many events."""
    with Transcript.create(run) as transcript:
        batch: list[tuple[Event, str]] = [
            (MessageAdded(0, {"role": "user", "content": "Do the long job."}), "0")
        ]
        made = 0
        for turn in range(1, events):
            batch += [(each, "0") for each in _turn(transcript, turn)]
            if len(batch) > 4000 or made + len(batch) >= events - 1:
                batch = batch[: events - 1 - made]
                transcript.write_many(batch)
                made += len(batch)
                batch = []
            if made >= events - 1:
                break
        transcript.write(RunClosed({"status": "submitted"}, {"steps": turn, "usd": 1.0}))
        transcript.seal({"run": run.name})


def _turn(transcript: Transcript, turn: int) -> Iterator[Event]:
    word = WORDS[turn % len(WORDS)]
    yield ModelCalled(turn, 1, [[0, turn]], "0" * 64, {"usd": 0.01})
    said = {"role": "assistant", "content": f"Step {turn}: look at the {word} again. " * 8}
    usage = {"input_tokens": 900, "output_tokens": 80}
    yield ModelReplied(turn, 1, 2 * turn, said, usage, {"usd": 0.001, "steps": 1, **usage}, 1.0)
    yield ActionStarted(turn, turn, "bash", {"code": f"grep -r {word}{turn} /srv"}, f"c{turn}")
    for at in range(FACTS):
        common = {"sandbox": "c0ffee", "pid": at + 2, "at": "2026-01-01T00:00:00+00:00"}
        if at % 3 == 0:
            argv = ["grep", "-r", f"{word}{turn}", f"/srv/{at}"]
            yield ProcessStarted(program="/bin/grep", argv=argv, action=turn, **common)  # type: ignore[arg-type]
        elif at % 3 == 1:
            yield FileOpened(path=f"/tmp/{word}/{turn}-{at}", mode=["write"], action=turn, **common)  # type: ignore[arg-type]
        else:
            yield ProcessExited(status=0, action=turn, **common)  # type: ignore[arg-type]
    output = transcript.content(f"{word} {turn} found in line {turn}\n".encode() * 30)
    yield ActionEnded(turn, 0.2, output, "none", {"tool_s": 0.2}, reported_exit=0)
    seen = {"role": "tool", "tool_call_id": f"c{turn}", "content": f"{word} {turn}"}
    yield MessageAdded(2 * turn + 1, seen)


class Site:
    """`agent-eval view`, as a person starts it."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "agent_eval", "view", str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            env={"XDG_CACHE_HOME": str(cache), "PATH": "/usr/bin:/bin", "HOME": str(cache)},
        )
        assert self.process.stdout
        address = self.process.stdout.readline()
        found = re.search(r":(\d+)/\?token=(\S+)", address)
        assert found, address
        self.port = int(found[1])
        self.cookie = ""
        self.cookie = self.get(f"/?token={found[2]}")[2].partition(";")[0]
        self.get("/static/review.css")

    def get(self, path: str) -> tuple[float, bytes, str]:
        """Seconds, body and cookie of an answer."""
        began = time.perf_counter()
        talk = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        talk.request("GET", path, headers={"Cookie": self.cookie})
        answer = talk.getresponse()
        body = answer.read()
        took = time.perf_counter() - began
        assert answer.status < 400, (path, answer.status, body[:300])
        return took, body, answer.headers.get("set-cookie", "")

    def peak_mb(self) -> float:
        """The most memory that the server had."""
        return peak_mb(self.process.pid)

    def viewer(self, turns: int, *, indexed: bool) -> Viewer:
        """As a browser meets it; without an index an event is to be had alone, on its page."""
        at = f"http://127.0.0.1:{self.port}/run/long"
        name, _, value = self.cookie.partition("=")
        cookie = {"name": name, "value": value, "url": f"http://127.0.0.1:{self.port}"}
        seq = 1 + (turns - 1) * (FACTS + 5) + 1  # the reply of the last turn
        late = f"{at}?at={seq}" if indexed else f"{at}/event/{seq}"
        return Viewer(self.process.pid, at, late, "/", cookie)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(20)


LONGEST_S = 900.0
"""That is waited for an index; what it comes to is said."""


def _whole(site: Site) -> str:
    """Seconds until the index is whole, in words."""
    began = time.perf_counter()
    while b"reading on" in site.get("/run/long/event/0")[1]:
        time.sleep(1)
        if time.perf_counter() - began > LONGEST_S:
            return f"{'index not whole after':<32} {LONGEST_S:8.0f} s"
    return f"{'index whole after':<32} {time.perf_counter() - began:8.1f} s"


class Measured:
    """What came of asking a site, a line for each page."""

    def __init__(self) -> None:
        self.largest_bytes = 0

    def ask(self, site: Site, pages: Iterable[tuple[str, str]]) -> None:
        """Ask for pages, and print how long each took and how large it is."""
        for what, path in pages:
            took, body, _ = site.get(path)
            self.largest_bytes = max(self.largest_bytes, len(body))
            print(f"{what:<32} {took * 1000:8.0f} ms {len(body):>9,} bytes", flush=True)


def main() -> None:
    """Measure, and print a line for each figure."""
    asked = argparse.ArgumentParser()
    asked.add_argument("--events", type=int, default=300_000)
    asked.add_argument("--beside-inspect", type=Path, metavar="PYTHON")
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="agent-eval-review-") as name:
        generated(Path(name) / "runs" / "long", given.events)
        if given.beside_inspect:
            beside(Path(name), given.events, given.beside_inspect)
        else:
            alone(Path(name), given.events)


def beside(folder: Path, count: int, python: Path) -> None:
    """Both viewers, in the same browser, one after the other."""
    turns = (count - 3) // (FACTS + 5)
    with chromium() as browser:
        print(f"agent-eval view, {count} events:")
        with closing(Site(folder / "runs", folder / "cache")) as site:
            print("  without an index:")
            watched(browser, site.viewer(turns, indexed=False), turns)
            print(f"  {_whole(site)}", flush=True)
            watched(browser, site.viewer(turns, indexed=True), turns)
        print(f"Inspect View, {count} events:")
        with inspect_viewer(python, folder / "logs", count) as (viewer, turns):
            watched(browser, viewer, turns)


def alone(folder: Path, count: int) -> None:
    """Our own server, page by page, without a browser."""
    at_once = (
        ("first page, no index yet", "/run/long"),
        ("search right after it", "/run/long?q=ledger10"),
        ("search for the last turn", f"/run/long?q=turn+{WORDS[0]}{count}"),
        ("the middle event, not read yet", f"/run/long/event/{count // 2}"),
    )
    later = (
        ("first page again", "/run/long"),
        ("in the middle", f"/run/long?at={count // 2}"),
        ("search, rare", "/run/long?q=ledger10"),
        ("search, again", "/run/long?q=archive1003"),
        ("search, common", "/run/long?q=line"),
        ("kernel events", "/run/long?family=kernel"),
        ("pictures", "/run/long/pictures"),
        ("one event", f"/run/long/event/{count // 2}"),
        ("all runs", "/"),
        ("search in all runs", "/search?q=harbour"),
    )
    measured = Measured()
    size_mb = folder.joinpath("runs", "long", "events.jsonl").stat().st_size / 1e6
    print(f"{count} events, {size_mb:.0f} MB")
    with closing(Site(folder / "runs", folder / "cache")) as site:
        measured.ask(site, at_once)
        print(_whole(site), flush=True)
        measured.ask(site, later)
        print(f"{'memory of the server, at most':<32} {site.peak_mb():8.0f} MB")
    print("a server started anew, with the index that is there:")
    with closing(Site(folder / "runs", folder / "cache")) as site:
        measured.ask(site, later[:3])
    print(f"{'largest page':<32} {measured.largest_bytes:>11,} bytes")


if __name__ == "__main__":
    main()
