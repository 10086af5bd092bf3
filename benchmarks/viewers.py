"""Two viewers in one Chromium: how long until somebody reads, and what that takes.

`review.py --beside-inspect PYTHON` calls it, after it has measured our own server. Either viewer is
served by its own server, over a run or a log of as many events; every page is opened in a browser
that has kept nothing of the one before. A page is there when the words that it was asked for can
be seen on it. The search is typed into the viewer's own field, on a first page that is there.
Every wait is bounded, and of what did not come there is a line as well.
"""

import importlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
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

    seconds: float | None = None
    """None where it did not come."""
    why: str = ""
    """What was in the way of it, if not time."""
    sent_bytes: int = 0
    browser_mb: float = 0.0

    def words(self) -> str:
        """For a line of output."""
        late = f"not within {LONGEST_S:.0f} s" + (f" ({self.why})" if self.why else "")
        took = late if self.seconds is None else f"{self.seconds:.1f} s"
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


class Window:
    """The only window of a Chromium that was started for it, and has kept nothing."""

    def __init__(self, started: Any, viewer: Viewer) -> None:
        self._talk = started.new_browser_cdp_session()
        context = started.new_context(viewport={"width": 1200, "height": 900})
        context.set_default_timeout(LONGEST_S * 1000)
        if viewer.cookie:
            context.add_cookies([viewer.cookie])
        self.page = context.new_page()
        self._until = time.perf_counter() + LONGEST_S
        self._sent = [0]
        talk = context.new_cdp_session(self.page)
        talk.send("Network.enable")
        talk.on("Network.loadingFinished", lambda one: self._sent.append(one["encodedDataLength"]))

    def processes(self) -> list[int]:
        """Of the browser, itself first."""
        told = self._talk.send("SystemInfo.getProcessInfo")["processInfo"]
        return [each["id"] for each in sorted(told, key=lambda one: one["type"] != "browser")]

    def measured(self, seen: Seen) -> None:
        """Say what was sent, and the browser's memory now, what its processes share once."""
        seen.sent_bytes = int(sum(self._sent))
        files = (Path(f"/proc/{each}/smaps_rollup") for each in self.processes())
        seen.browser_mb = sum(_of(each, r"(?m)^Pss:\s+(\d+)") for each in files)

    def wait(self, words: str) -> None:
        """Until these words can be seen."""
        shown = self.page.get_by_text(words).filter(visible=True).first
        shown.wait_for(timeout=self._left_ms())

    def focus(self, key: str) -> None:
        """Into the field for a search; the key may come before a viewer listens, so once a second.

        A key that comes twice does no harm: it stands in the field, and is taken out.
        """
        while not self.page.evaluate(IN_A_FIELD):
            self._left_ms()
            self.page.keyboard.press(key)
            self.page.wait_for_timeout(1000)
        self.page.keyboard.press("Control+a")

    def begun(self) -> float:
        """Now; from here on there is that long again."""
        began = time.perf_counter()
        self._until = began + LONGEST_S
        return began

    def _left_ms(self) -> float:
        left_s = self._until - time.perf_counter()
        if left_s <= 0:
            raise TimeoutError
        return left_s * 1000


IN_A_FIELD = "document.activeElement?.matches('input, textarea, [contenteditable]')"


class Browser:
    """The distribution's Chromium without a screen, begun anew for each page."""

    def __init__(self, playwright: Any) -> None:
        self._playwright = playwright
        self._program = shutil.which("chromium") or shutil.which("chromium-browser")

    def look(self, viewer: Viewer, steps: Callable[[Window], float]) -> Seen:
        """What `steps` take in a window, from the moment that they return as the beginning.

        It ends: a browser that has not come to an end by itself when its time is over is ended.
        """
        seen = Seen()
        failed = importlib.import_module("playwright.sync_api").Error
        arguments = {"executable_path": self._program, "args": ["--no-sandbox"]}
        started = self._playwright.chromium.launch(**arguments)
        window = Window(started, viewer)
        end = Timer(2 * LONGEST_S + 60, os.kill, (window.processes()[0], signal.SIGKILL))
        end.start()
        try:
            began = steps(window)
            seen.seconds = time.perf_counter() - began
        except (failed, TimeoutError) as error:  # its time is over, or the page died of its size
            if "Timeout" not in type(error).__name__:
                seen.why = str(error).splitlines()[0][:80]
        with suppress(failed):
            window.measured(seen)
            started.close()
        end.cancel()
        return seen


def watched(browser: Browser, viewer: Viewer, turns: int) -> None:
    """Open the first page, the last turn, and search for one in the middle; a line for each."""

    def opened(address: str, words: str) -> Callable[[Window], float]:
        def steps(window: Window) -> float:
            began = window.begun()
            window.page.goto(address, wait_until="commit")
            window.wait(words)
            return began

        return steps

    first = opened(viewer.first, "Step 1: look at")

    def searched(window: Window) -> float:
        words = f"found in line {turns // 2}"
        first(window)
        window.focus(viewer.search_key)
        window.page.keyboard.type(words)
        began = window.begun()
        window.page.keyboard.press("Enter")
        window.wait(words)
        return began

    for what, steps in {
        "first page": first,
        "straight to the last turn": opened(viewer.late, f"Step {turns}: look at"),
        "search, the middle turn": searched,
    }.items():
        print(f"  {what:<28} {browser.look(viewer, steps).words()}", flush=True)
    print(f"  {'memory of its server':<28} at most {peak_mb(viewer.pid):.0f} MB", flush=True)


@contextmanager
def inspect_viewer(python: Path, folder: Path, events: int) -> Iterator[tuple[Viewer, int]]:
    """Inspect View over a log with so many events, and the turns in it."""
    script = Path(__file__).with_name("inspect_log.py")
    made = subprocess.run(
        [python, script, "--events", str(events), "--folder", folder],
        check=True, capture_output=True, text=True, timeout=1200,
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
        process.kill()
        process.wait()


def _listening(port: int) -> None:
    """Wait until it does; where it never does, every line says so."""
    until = time.monotonic() + LONGEST_S
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return


@contextmanager
def chromium() -> Iterator[Browser]:
    """What starts browsers."""
    with importlib.import_module("playwright.sync_api").sync_playwright() as playwright:
        yield Browser(playwright)
