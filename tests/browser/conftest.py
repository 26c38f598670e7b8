"""Chromium, as the distribution packages it, before the service, as ``make serve`` runs it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.service import serving

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium")
# No sandbox, because containers and CI run as root; the rest keeps Chromium from calling home.
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
KEY = "a key that the deployment knows"


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    """The address of a deployment that is open to all."""
    with serving(RERANK_AUTH_MODE="None") as url:
        yield f"{url}/"


@pytest.fixture(scope="session")
def closed_address() -> Iterator[str]:
    """The address of a deployment that asks for ``KEY``."""
    with serving(RERANK_AUTH_MODE="Key", RERANK_KEY_DIGESTS=sha256(KEY.encode()).hexdigest()) as url:
        yield f"{url}/"


@pytest.fixture(scope="session")
def staged_address() -> Iterator[str]:
    """The address of an open deployment behind a gateway that puts its stage before every path."""
    with serving(RERANK_AUTH_MODE="None", RERANK_BASE_PATH="/stage") as url:
        yield f"{url}/"


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, started once."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, address: str) -> Iterator[BrowserContext]:
    """A fresh profile that may use the clipboard."""
    context = chromium.new_context(viewport={"width": 1360, "height": 900}, reduced_motion="reduce")
    context.set_default_timeout(20_000)
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address.rstrip("/"))
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    """The playground, ready; no test may leave an error on its console or ask any other origin for anything."""
    page, said, asked = context.new_page(), list[str](), list[str]()
    watch(page, said, asked)
    page.goto(address)
    page.locator("#health.ok").wait_for()
    yield page
    assert not said
    assert not [url for url in asked if not url.startswith((address, "data:"))]


def watch(page: Page, said: list[str], asked: list[str]) -> None:
    """Note what goes wrong on ``page`` in ``said``, and every address that it asks for in ``asked``."""

    def note(message: ConsoleMessage) -> None:
        # Chromium itself reports every refused request, also those that the page turns into a sentence.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            said.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
