"""Workflows by their files, and the report that a person opens when one has run."""

from __future__ import annotations

from pathlib import Path

import yaml
from playwright.sync_api import Locator, expect
from tests.browser.pages import Galaxy, Invocation

from galaxy_server import ROOT

__all__ = ["file_of", "name_of", "picture", "reported", "wait_in_report"]


def file_of(workflow: str) -> Path:
    """The file of a workflow, by its folder."""
    return ROOT / "workflows" / workflow / f"{workflow}.gxwf.yml"


def name_of(file: Path) -> str:
    """What Galaxy calls the workflow of a file."""
    return str(yaml.safe_load(file.read_text())["label"])


def wait_in_report(galaxy: Galaxy, what: str) -> None:
    """Wait until an expression of JavaScript is true of the page, or of one that the report embeds."""
    for _ in range(600):
        if any(frame.evaluate(what) for frame in galaxy.page.frames):
            return
        galaxy.page.wait_for_timeout(200)
    galaxy.shot("not-in-report")
    raise AssertionError(f"nowhere in the report: {what}")


def picture(width: int, height: int) -> str:
    """There is a picture that is at least so large, and no part of Galaxy's own page."""
    large = f"one.naturalWidth >= {width} && one.naturalHeight >= {height}"
    return f"[...document.images].some(one => {large} && !one.src.includes('/static/'))"


def reported(galaxy: Galaxy, invocation: Invocation, what: str, shot: str) -> Locator:
    """Wait for the report of a workflow, with all that it shows, and keep a picture of it."""
    report = invocation.report()
    wait_in_report(galaxy, what)
    expect(report).not_to_contain_text("was not found", timeout=60_000)
    galaxy.shot(shot)
    return report
