"""What a person does with the datasets of a history: bring a file in, give it a name, make a list."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.browser.pages import Galaxy, Item

__all__ = ["built_list", "look_into", "rename", "uploaded"]


def uploaded(galaxy: Galaxy, *files: Path) -> list[Item]:
    """Upload files of the person's own machine."""
    items: list[Item] = []
    for file in files:
        upload = galaxy.upload()
        upload.choose(file)
        items += upload.start()
    return [item.wait() for item in items]


def rename(item: Item, name: str) -> None:
    """Click the pencil of a dataset, which is grey until that is there, and type another name."""
    page = item.wait().galaxy.page
    item.galaxy.click(item.box.locator(".edit-btn"))
    item.galaxy.type(page.locator('#center [id="form-element-name"] input'), name)
    item.galaxy.click(page.locator("#dataset-attributes-default-save"))
    item.box.locator(".content-title", has_text=name).wait_for()


def built_list(galaxy: Galaxy, name: str, items: Sequence[Item]) -> Item:
    """Tick datasets of the history, and let Galaxy build a list of them."""
    panel = galaxy.page.locator("#current-history-panel")
    tick = panel.locator(".show-history-content-selectors-btn")
    galaxy.click(tick)
    for item in items:
        galaxy.click(item.box.locator(".selector"))
    galaxy.click(panel.locator('[data-description="selected content menu"] button'))
    galaxy.click(panel.locator('[data-description="auto build list"]'))
    galaxy.type(galaxy.page.locator("#center input.collection-name"), name)
    build = galaxy.page.locator("#center .go-next-btn")
    told = galaxy.answer("/api/dataset_collections", lambda: galaxy.click(build))
    galaxy.click(tick)
    return Item(galaxy, told["hid"], told)


def look_into(galaxy: Galaxy, name: str, seen: Callable[[], None]) -> None:
    """Open the list whose name ends so, click the eye of its first dataset, look, and go back."""
    page = galaxy.page
    galaxy.click(
        page.locator("#current-history-panel .content-title", has_text=re.compile(f"{re.escape(name)}$")).first
    )
    galaxy.click(page.locator(".dataset-collection-panel .content-item .display-btn").first)
    seen()
    galaxy.click(page.locator('[data-description="back to history"]').first)
