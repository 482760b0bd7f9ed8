"""A real browser: Debian's Chromium without a window, driven by Playwright. It reaches this machine and no other."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.debian import program

if TYPE_CHECKING:  # imported where it is used: most tests need no browser, and the driver takes its time
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome")
ANSWER_MILLISECONDS_MAX = 60_000
ARGUMENTS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A page that fetches from a foreign host must not work by accident.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser's program, installed once where that is possible; the test is skipped where it is not."""
    return program("chromium", *NAMES)


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator["Browser"]:
    """A running browser. One a module: while its driver runs, this thread cannot run an asyncio loop of its own."""
    from playwright.sync_api import sync_playwright  # noqa: PLC0415

    # Chromium refuses its own sandbox to root; what it shows here is ours.
    sandbox = ("--no-sandbox",) if os.geteuid() == 0 else ()
    with sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=chromium, headless=True, args=[*ARGUMENTS, *sandbox])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def visiting(browser: "Browser") -> Iterator["Page"]:
    """A page of a person who has never been here: no cookies, nothing cached. The mesh's own CA is not checked."""
    context = browser.new_context(ignore_https_errors=True, locale="de-DE", viewport={"width": 1280, "height": 900})
    context.set_default_timeout(ANSWER_MILLISECONDS_MAX)
    try:
        yield context.new_page()
    finally:
        context.close()


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A fresh page; `visiting` gives a test more than one person."""
    with visiting(browser) as opened:
        yield opened
