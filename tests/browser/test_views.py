"""Results seen in place: the page to browse, opened by the eye in the history, moved and clicked inside Galaxy."""

from __future__ import annotations

import io

import numpy as np
import pytest
import zarr
from PIL import Image
from playwright.sync_api import FrameLocator, expect
from scipy.ndimage import binary_fill_holes, gaussian_filter
from skimage.filters import threshold_otsu
from skimage.measure import label
from skimage.morphology import remove_small_objects
from tests.browser.pages import Galaxy, Item

from galaxy_server import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]


def coins() -> np.ndarray:
    """The objects of the sample, by scikit-image on the whole image."""
    image = np.asarray(zarr.open_array(ROOT / "test-data" / "coins_2d.ome.zarr" / "0", mode="r")[...])
    smooth = gaussian_filter(image, 1)
    mask = binary_fill_holes(smooth > threshold_otsu(smooth))
    found = np.asarray(label(remove_small_objects(label(mask, connectivity=2), max_size=49) > 0, connectivity=2))
    return found


def pixels(frame: FrameLocator) -> np.ndarray:
    expect(frame.locator("canvas")).to_have_attribute("data-state", "ready")
    frame.locator("canvas").page.wait_for_timeout(300)
    return np.asarray(Image.open(io.BytesIO(frame.locator("canvas").screenshot())).convert("RGB")).astype(int)


def colorful(found: np.ndarray) -> int:
    """Pixels that are not grey."""
    return int((found.max(axis=2) - found.min(axis=2) > 60).sum())


def an_image(galaxy: Galaxy) -> Item:
    galaxy.log_in("site")
    galaxy.new_history()
    form = galaxy.tool("chunkwise_open")
    form.choose_text("store", "Coins (2-D)")
    return form.run()["reference"].wait()


def test_a_segmentation_and_an_inspection_are_seen_in_place(galaxy: Galaxy) -> None:
    image = an_image(galaxy)
    form = galaxy.tool("chunkwise_segment")
    form.pick("image", image)
    form.switch("fill_holes", True)
    form.type("min_size", "50")
    view = form.run()["view"]
    form = galaxy.tool("chunkwise_inspect")
    form.pick("image", image)
    inspection = form.run()["report"]
    view.wait()
    assert view.name.endswith(": view")
    asked: list[str] = []
    galaxy.page.on("request", lambda one: asked.append(one.url) if "/display" in one.frame.url else None)
    frame = view.open()
    first = pixels(frame)
    galaxy.shot("view-segment")
    assert first.std() > 30
    assert colorful(first) > 500

    labels = coins()
    canvas = frame.locator("canvas")
    box = canvas.bounding_box()
    assert box is not None
    zoom = min(box["width"] / 384, box["height"] / 303)
    left, top = (box["width"] - zoom * 384) / 2, (box["height"] - zoom * 303) / 2
    for number in (5, 12, 20):
        y, x = np.argwhere(labels == number)[(labels == number).sum() // 2]
        galaxy.clicks += 1
        canvas.click(position={"x": left + zoom * (x + 0.5), "y": top + zoom * (y + 0.5)})
        expect(frame.locator(".row tr", has_text="Number").locator("td")).to_have_text(str(number))
        size = int((labels == number).sum())
        expect(frame.locator(".row tr", has_text="Size").locator("td")).to_have_text(f"{size} pixels")
    galaxy.shot("view-segment-clicked")

    galaxy.click(frame.get_by_label("Show Objects"))
    assert colorful(pixels(frame)) < 50
    galaxy.click(frame.get_by_label("Show Objects"))
    before = pixels(frame)
    for _ in range(4):
        galaxy.click(frame.get_by_label("Zoom in"))
    zoomed = pixels(frame)
    galaxy.shot("view-segment-zoomed")
    assert (np.abs(zoomed - before).max(axis=2) > 20).mean() > 0.2
    assert [url for url in asked if not url.startswith("data:") and "/display" not in url] == []

    frame = inspection.wait().open()
    expect(frame.locator("body")).to_contain_text("Resolution levels and storage")
    seen = pixels(frame)
    galaxy.shot("view-inspect")
    assert seen.std() > 30
    assert colorful(seen) == 0
