"""The ways to name an image, as a person goes them."""

from __future__ import annotations

import json

import pytest
from tests.browser.pages import Galaxy, Item

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]

IMAGES = {
    "Coins (2-D)": [303, 384],
    "Cells, two channels, over time (3-D)": [2, 2, 8, 48, 64],
    "Cells, one channel (3-D)": [8, 48, 64],
}
"""What *Open an image* lists on the Galaxy of ``make galaxy``."""


def described(reference: Item) -> dict[str, object]:
    """What a reference says of its image, as the eye shows it."""
    text = reference.open().locator("pre").inner_text()
    found: dict[str, object] = json.loads(text)["description"]
    return found


@pytest.mark.parametrize(
    ("user", "images"), [("site", [*IMAGES]), ("analyst", [*IMAGES][-1:])], ids=["site", "analyst"]
)
def test_every_image_of_the_list_opens(galaxy: Galaxy, user: str, images: list[str]) -> None:
    """With a site file and, for one of them, without; the first is chosen already."""
    galaxy.log_in(user)
    galaxy.new_history()
    form = galaxy.tool("chunkwise_open")
    for name in images:
        shape = IMAGES[name]
        assert form.options("store") == list(IMAGES)
        form.choose_text("store", name)
        reference = form.run()["reference"].wait()
        assert described(reference)["shape"] == shape
        galaxy.shot(f"open-{user}-{reference.hid}")
        form = galaxy.tool("chunkwise_open")


def test_a_deferred_image_by_clicks_alone_and_one_by_its_address(galaxy: Galaxy) -> None:
    """*Choose from repository* gives files: the one that describes the store stands for it."""
    galaxy.log_in("analyst")
    galaxy.new_history()
    upload = galaxy.upload()
    row = upload.browse("Microscopy storage", "cells_tczyx.ome.zarr", "zarr.json")
    upload.name(row, "cells.ome.zarr")
    upload.defer(row)
    galaxy.shot("deferred-upload")
    images = upload.start()
    upload = galaxy.upload()
    upload.defer(upload.paste("gxfiles://chunkwise_images/cells_zyx_v04.ome.zarr"))
    galaxy.shot("deferred-address")
    images += upload.start()
    for image, shape in zip(images, ([2, 2, 8, 48, 64], [8, 48, 64]), strict=True):
        image.wait("deferred")
        form = galaxy.tool("chunkwise_open")
        form.choose("kind", "dataset")
        form.pick("image", image)
        reference = form.run()["reference"].wait()
        assert described(reference)["shape"] == shape
    galaxy.shot("deferred-history")
