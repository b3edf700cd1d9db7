"""What a person does with the datasets of a history: bring a file in, give it a name, make a list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.browser.pages import Galaxy, Item

__all__ = ["built_list", "rename", "uploaded"]


def uploaded(galaxy: Galaxy, *files: Path) -> list[Item]:
    """Upload files of the person's own machine."""
    items: list[Item] = []
    for file in files:
        upload = galaxy.upload()
        upload.choose(file)
        items += upload.start()
    return [item.wait() for item in items]


def rename(item: Item, name: str) -> None:
    """Click the pencil of a dataset, and type another name."""
    page = item.galaxy.page
    item.galaxy.click(item.box.locator(".edit-btn"))
    item.galaxy.type(page.locator('#center [id="form-element-name"] input'), name)
    item.galaxy.click(page.locator("#dataset-attributes-default-save"))
    item.box.locator(".content-title", has_text=name).wait_for()


def built_list(galaxy: Galaxy, name: str, items: Sequence[Item]) -> Item:
    """Tick datasets of the history, and let Galaxy build a list of them."""
    panel = galaxy.page.locator("#current-history-panel")
    galaxy.click(panel.locator(".show-history-content-selectors-btn"))
    for item in items:
        galaxy.click(item.box.locator(".selector"))
    galaxy.click(panel.locator('[data-description="selected content menu"] button'))
    galaxy.click(panel.locator('[data-description="auto build list"]'))
    galaxy.type(galaxy.page.locator("#center input.collection-name"), name)
    build = galaxy.page.locator("#center .go-next-btn")
    told = galaxy.answer("/api/dataset_collections", lambda: galaxy.click(build))
    return Item(galaxy, told["hid"], told)
