"""The distribution's Chromium, headless, with nothing of a person's own in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser")
SHOTS = Path(__file__).parent / "screenshots"
"""Where what was on the screen is kept, for people to look at."""

NAMELESS = """() => [...document.querySelectorAll(
    'a, button, input:not([type=hidden]), select, summary, meter, [tabindex="0"], svg[role]')]
  .filter((one) => !(one.innerText || one.textContent || '').trim()
    && !one.getAttribute('aria-label') && !(one.labels && one.labels.length))
  .map((one) => one.outerHTML.slice(0, 120))"""
"""What a person who cannot see the page would meet without a name."""


class Watched:
    """A page, and everything about it that should not have been."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", self._said)
        page.on("dialog", self._asks)
        page.on("request", self._asked)
        self.asked: list[str] = []

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"console: {message.text}")

    def _asks(self, dialog: Any) -> None:
        self.wrong.append("a dialog")
        dialog.dismiss()

    def _asked(self, request: Any) -> None:
        self.asked.append(request.url)

    def shot(self, name: str) -> None:
        """Keep what is on the screen."""
        SHOTS.mkdir(exist_ok=True)
        self.page.screenshot(path=str(SHOTS / f"{name}.png"))

    def too_wide(self) -> float:
        """By how many pixels the page is wider than its window."""
        return float(self.page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


@contextmanager
def browser() -> Iterator[Any]:
    """A browser; the test is skipped, with the reason, where there is none."""
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if PROGRAM is None:
        pytest.skip("there is no Chromium: sandbox/setup --browser installs it")
    with sync.sync_playwright() as playwright:
        # Its own sandbox needs rights that root in a container has not; only our pages are opened.
        started = playwright.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield started
        started.close()


@contextmanager
def page_of(started: Any, width: int = 1200, scheme: str = "light") -> Iterator[Watched]:
    """A new window of its own."""
    context = started.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(60_000)
    yield Watched(context.new_page())
    context.close()
