"""Two viewers in one Chromium: how long until somebody reads, and what that takes.

`review.py --beside-inspect PYTHON` calls it, after it has measured our own server. Either viewer is
served by its own server, over a run or a log of as many events; every page is opened in a window
that has kept nothing of the one before. A page is there when the words that it was asked for can
be seen on it. The search is typed into the viewer's own field, on a first page that is there.
"""

import importlib
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_S = 300.0
"""That is waited for a page; of one that does not come by then, that is said."""


@dataclass(frozen=True)
class Viewer:
    """Where a viewer has what is looked for, in a run of so many turns."""

    pid: int
    first: str
    """The address of its first page."""
    late: str
    """That leads to the last turn."""
    search_key: str
    """That leads into its field for a search."""
    cookie: dict[str, str] | None = None


@dataclass
class Seen:
    """What a page took."""

    seconds: float | None
    """None where it did not come."""
    sent_bytes: int
    browser_mb: float

    def words(self) -> str:
        """For a line of output."""
        took = f"not within {LONGEST_S:.0f} s" if self.seconds is None else f"{self.seconds:.1f} s"
        return f"{took}, {self.sent_bytes:,} bytes sent, browser {self.browser_mb:.0f} MB"


def peak_mb(pid: int) -> float:
    """The most memory that a process had."""
    return _of(Path(f"/proc/{pid}/status"), r"VmHWM:\s+(\d+)")


def _of(file: Path, pattern: str) -> float:
    """A number of KiB in a file of the kernel, in MiB; none where the process has ended."""
    try:
        found = re.search(pattern, file.read_text(encoding="ascii"))
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0


class Browser:
    """Chromium, as the distribution has it, with a new window for each page."""

    def __init__(self, started: Any) -> None:
        self._started = started
        self._talk = started.new_browser_cdp_session()

    def _memory_mb(self) -> float:
        """Of all its processes now, what they share counted once."""
        told = self._talk.send("SystemInfo.getProcessInfo")["processInfo"]
        files = (Path(f"/proc/{each['id']}/smaps_rollup") for each in told)
        return sum(_of(each, r"(?m)^Pss:\s+(\d+)") for each in files)

    @contextmanager
    def window(self, viewer: Viewer) -> Iterator[tuple[Any, Callable[[float, str], Seen]]]:
        """A new window, and what waits in it for words, from a moment on."""
        context = self._started.new_context(viewport={"width": 1200, "height": 900})
        context.set_default_timeout(LONGEST_S * 1000)
        if viewer.cookie:
            context.add_cookies([viewer.cookie])
        page, sent = context.new_page(), [0]
        talk = context.new_cdp_session(page)
        talk.send("Network.enable")
        talk.on("Network.loadingFinished", lambda one: sent.append(int(one["encodedDataLength"])))

        def waited(began: float, words: str) -> Seen:
            took = _until(page, began, words)
            return Seen(took, sum(sent), self._memory_mb())

        try:
            yield page, waited
        finally:
            context.close()


def _until(page: Any, began: float, words: str) -> float | None:
    """Seconds until these words can be seen, or None."""
    playwright = importlib.import_module("playwright.sync_api")
    shown = page.get_by_text(words).filter(visible=True).first
    try:
        shown.wait_for(timeout=max(began + LONGEST_S - time.perf_counter(), 1) * 1000)
    except playwright.Error as error:  # its time is over, or the page died of its size
        print(f"    {type(error).__name__}: {str(error).splitlines()[0][:120]}")
        return None
    return time.perf_counter() - began


def watched(browser: Browser, viewer: Viewer, turns: int) -> None:
    """Open the first page, the last turn, and search for one in the middle; a line for each."""

    def opened(what: str, address: str, words: str) -> None:
        with browser.window(viewer) as (page, waited):
            began = time.perf_counter()
            page.goto(address, wait_until="commit")
            print(f"  {what:<28} {waited(began, words).words()}", flush=True)

    opened("first page", viewer.first, "Step 1: look at")
    opened("straight to the last turn", viewer.late, f"Step {turns}: look at")
    with browser.window(viewer) as (page, waited):
        page.goto(viewer.first, wait_until="commit")
        if waited(time.perf_counter(), "Step 1: look at").seconds is not None:
            page.keyboard.press(viewer.search_key)
            words = f"found in line {turns // 2}"
            page.keyboard.type(words)
            began = time.perf_counter()
            page.keyboard.press("Enter")
            print(f"  {'search, the middle turn':<28} {waited(began, words).words()}", flush=True)
    print(f"  {'memory of its server':<28} at most {peak_mb(viewer.pid):.0f} MB", flush=True)


@contextmanager
def inspect_viewer(python: Path, folder: Path, events: int) -> Iterator[tuple[Viewer, int]]:
    """Inspect View over a log with so many events, and the turns in it."""
    script = Path(__file__).with_name("inspect_log.py")
    made = subprocess.run(
        [python, script, "--events", str(events), "--folder", folder],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    log = json.loads(made.stdout.splitlines()[-1])
    print(f"  log of {log['turns']} turns, {log['bytes'] / 1e6:.0f} MB packed", flush=True)
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    command: list[str | Path] = [python.with_name("inspect"), "view", "start", "--log-dir", folder]
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _listening(port)
        at = f"http://127.0.0.1:{port}/#/logs/long.eval/samples/sample/long/1/transcript"
        late = f"{at}?event={log['turns']}-0"
        yield Viewer(process.pid, at, late, "Control+f"), log["turns"]
    finally:
        process.terminate()
        process.wait(20)


def _listening(port: int) -> None:
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise TimeoutError("Inspect View does not listen")


@contextmanager
def chromium() -> Iterator[Browser]:
    """The distribution's Chromium, without a screen."""
    sync_playwright = importlib.import_module("playwright.sync_api").sync_playwright
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield Browser(started)
        started.close()
