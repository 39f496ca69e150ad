"""A browser on the page, and a witness of everything it asked and complained about."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

Visit = Callable[..., Page]

BUSY = ("status of 503", "status of 504")
"""A machine under load answers so now and then; the page tells it, and the browser notes it."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine."""
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip(f"No browser: none of {', '.join(CHROMIUM)} is on PATH (Debian: apt-get install chromium).")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield launched
        launched.close()


@dataclass
class Witness:
    """What pages did that no page should."""

    base_url: str
    complaints: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)
    tolerated: str = "nothing"
    """A complaint with these words is what the test is about."""

    def watch(self, context: BrowserContext) -> None:
        """Console errors, broken scripts, violations of the content policy, requests to other origins."""
        context.on("console", lambda message: self._heard(message.type, message.text))
        context.on("weberror", lambda error: self.complaints.append(f"script: {error.error}"))
        context.on("request", lambda request: self._asked(request.url))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not any(words in text for words in (self.tolerated, *BUSY)):
            self.complaints.append(f"{kind}: {text}")

    def _asked(self, url: str) -> None:
        if not url.startswith((f"{self.base_url}/", "data:")):
            self.elsewhere.append(url)


@pytest.fixture
def witness(base_url: str) -> Witness:
    """The witness of this test."""
    return Witness(base_url)


@pytest.fixture
def visit(browser: Browser, base_url: str, witness: Witness) -> Iterator[Visit]:
    """`visit("#user=42", width=360, color_scheme="dark")`: the page as a new browser sees it. Every test ends with
    the proof that nothing was complained about and nothing left the origin.
    """
    contexts = list[BrowserContext]()

    def open_page(address: str = "", width: int = 1440, height: int = 1000, **options: Any) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce", **options)
        contexts.append(context)
        witness.watch(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        page.goto(f"{base_url}/{address}")
        return page

    expect.set_options(timeout=15_000)
    yield open_page
    for context in contexts:
        context.close()
    assert witness.complaints == []
    assert witness.elsewhere == []
