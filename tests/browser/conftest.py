"""A browser for the tests: Debian's Chromium, driven by Playwright; every test has a page of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.browser.pages import Galaxy

# A viewer draws by WebGL: here without a graphics card, which takes most of a core. Other pages need none of it.
GRAPHICS = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def chromium(request: pytest.FixtureRequest) -> Iterator[Browser]:
    """The browser, with WebGL where the module says ``WEBGL = True``.

    For a module only: while it is open, nothing else in this process may run an event loop.
    """
    if CHROMIUM is None:
        pytest.skip("Chromium is missing; as root, 'bash deploy/browser.sh' installs it")
    graphics = GRAPHICS if getattr(request.module, "WEBGL", False) else ["--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *graphics])
        yield browser
        browser.close()


@contextmanager
def window(chromium: Browser, url: str) -> Iterator[Galaxy]:
    """Galaxy's page in a new window, before anybody has logged in."""
    # Whoever asks for reduced motion gets no spinners that turn: each turn is drawn without a graphics card.
    context = chromium.new_context(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    yield Galaxy(context.new_page(), url)
    context.close()


@pytest.fixture
def galaxy(chromium: Browser, galaxy_url: str) -> Iterator[Galaxy]:
    """A window of a test's own."""
    with window(chromium, galaxy_url) as found:
        yield found
