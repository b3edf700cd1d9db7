"""Vizarr as a visualisation of Galaxy, by clicks: what it draws is held, voxel by voxel, against image and labels."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import FrameLocator, expect
from tests.browser.pages import Galaxy, Item
from tests.browser.results import voxels

from galaxy_server import User

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = [pytest.mark.galaxy, pytest.mark.browser]
WEBGL = True

COINS = "gxfiles://chunkwise_images/coins_2d.ome.zarr"
CELLS = "gxfiles://chunkwise_images/cells_tczyx.ome.zarr"
VIEWER = "Vizarr: images and labels"
EVIL = """<img src=x onerror="document.title='broken in'">"""

SECONDS = 1000
PATIENCE = 60 * SECONDS
OPACITY = 0.25 ** (1 / 2.2)
"""Of labels: main.js says a quarter, which deck.gl takes to this power."""
FILLED = 0.9
"""The part of the frame that the image fills, as main.js says."""


class Seen:
    """Galaxy's page, with the history in which the API prepared the data."""

    def __init__(self, galaxy: Galaxy, user: User, name: str) -> None:
        self.galaxy = galaxy
        self.page = galaxy.page
        galaxy.log_in(name, user.history)
        self.frame = self.page.frame_locator("#galaxy_visualization")

    def item(self, dataset: dict[str, Any]) -> Item:
        """A dataset of the history."""
        return Item(self.galaxy, dataset["hid"], dataset)

    def wait(self) -> FrameLocator:
        """The viewer, once there is something that can be chosen in it."""
        self.frame.locator("#choice select").wait_for()
        return self.frame

    def pixels(self, name: str, shape: tuple[int, int]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The colour of every voxel on the screen, and which voxels no panel lies over; the picture is kept."""
        self.page.mouse.move(5, 5)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_timeout(2 * SECONDS)
        picture = self.galaxy.shot(f"vizarr-{name}")
        colours = np.asarray(Image.open(picture).convert("RGB"), dtype=float)
        frame = self.page.locator("#galaxy_visualization").bounding_box()
        boxes = [panel.bounding_box() for panel in self.frame.locator("#viewer .MuiPaper-root").all()]
        assert frame
        below = max(box["y"] + box["height"] for box in boxes if box)
        beside = max(box["x"] + box["width"] for box in boxes if box)
        rows, columns = shape
        scale = FILLED * min(frame["width"] / columns, frame["height"] / rows)
        y = frame["y"] + frame["height"] / 2 + (np.arange(rows) + 0.5 - rows / 2) * scale
        x = frame["x"] + frame["width"] / 2 + (np.arange(columns) + 0.5 - columns / 2) * scale
        free = (y[:, None] > below + 10) | (x[None, :] > beside + 10)
        assert free.mean() > 0.3, "the panel hides the image"
        return colours[y.astype(int)[:, None], x.astype(int)[None, :]], free


@pytest.fixture(scope="module")
def analyst(galaxy_url: str) -> User:
    """Who prepares the data."""
    if shutil.which("npm") is None:
        pytest.skip("npm is missing, so that the viewer was not installed; as root, 'bash deploy/node.sh' installs it")
    return User(galaxy_url, "analyst")


@pytest.fixture
def seen(galaxy: Galaxy, analyst: User) -> Iterator[Seen]:
    """The analyst's page, on which nothing is asked of another server."""
    yield Seen(galaxy, analyst, "analyst")
    assert galaxy.elsewhere == []


def run(user: User, tool: str, inputs: dict[str, Any], output: str) -> dict[str, Any]:
    """One output of a tool."""
    dataset = user.run(tool, inputs)[output]
    assert dataset["state"] == "ok", user.error_of(dataset)
    return dataset


def fetched(user: User, address: str) -> dict[str, Any]:
    """An image that lies in Galaxy."""
    return run(user, "chunkwise_fetch", {"image": f"hda:{user.deferred(address)}", "format": "ome_zarr"}, "piece")


def as_grey(image: NDArray[Any]) -> NDArray[np.float64]:
    """How an image of eight bits is drawn."""
    return np.repeat(image[..., None], 3, axis=2).astype(float)


@pytest.fixture(scope="module")
def coins(analyst: User) -> tuple[dict[str, Any], dict[str, Any]]:
    """An image that lies in Galaxy, and labels of it with a name that would break out of a page."""
    image = fetched(analyst, COINS)
    labels = run(analyst, "chunkwise_segment", {"image": f"hda:{image['id']}"}, "labels")
    analyst.call("PUT", f"/api/histories/{analyst.history}/contents/{labels['id']}", {"name": EVIL})
    return image, labels


def assert_labels_over(
    seen: NDArray[np.float64], free: NDArray[np.bool_], image: NDArray[np.float64], labels: NDArray[Any]
) -> None:
    """Background shows the image; each object has one colour of its own, half clear over the image."""
    background = free & (labels == 0)
    assert background.any()
    assert np.abs(seen - image)[background].max() <= 2
    colours = {}
    for label in np.unique(labels[free & (labels > 0)]):
        inside = free & (labels == label)
        colour = (seen - (1 - OPACITY) * image)[inside] / OPACITY
        assert np.ptp(colour, axis=0).max() <= 8, f"object {label} has several colours"
        colours[label] = colour.mean(axis=0)
        assert colours[label].max() > 200
    assert colours
    assert len({tuple((colour / 8).round()) for colour in colours.values()}) == len(colours)


def test_image_by_visualize_and_labels_chosen_over_it(
    seen: Seen, analyst: User, coins: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    dataset, of_labels = coins
    grey = as_grey(voxels(analyst, dataset, tmp_path / "image"))
    labels = voxels(analyst, of_labels, tmp_path / "labels")
    details = seen.item(dataset).expand()
    seen.galaxy.click(details.locator(".visualize-btn"))
    seen.galaxy.click(seen.page.locator("#center").get_by_text(VIEWER).first)
    viewer = seen.wait()
    drawn, free = seen.pixels("image", (303, 384))
    assert np.abs(drawn - grey)[free].max() <= 2

    choice = viewer.locator("#choice select")
    expect(choice.locator("option", has_text=EVIL)).to_have_count(1, timeout=PATIENCE)
    choice.press_sequentially(f"{of_labels['hid']}:")
    expect(viewer.locator("#viewer .MuiPaper-root").get_by_text(EVIL).first).to_be_visible(timeout=PATIENCE)
    assert_labels_over(*seen.pixels("labels-chosen", (303, 384)), grey, labels)
    assert seen.page.title() != "broken in"
    assert viewer.locator("img").count() == 0


def test_the_eye_of_labels_shows_them_over_their_image(
    seen: Seen, analyst: User, coins: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path
) -> None:
    dataset, of_labels = coins
    grey = as_grey(voxels(analyst, dataset, tmp_path / "image"))
    labels = voxels(analyst, of_labels, tmp_path / "labels")
    clicks = seen.galaxy.clicks
    seen.item(of_labels).open()
    viewer = seen.wait()
    assert_labels_over(*seen.pixels("labels", (303, 384)), grey, labels)
    assert seen.galaxy.clicks == clicks + 1
    # Without the image: the colours alone, on black.
    viewer.locator("#choice select").press_sequentially("none")
    expect(viewer.locator("#viewer .MuiPaper-root").get_by_text("channel 0")).to_have_count(0, timeout=PATIENCE)
    drawn, free = seen.pixels("labels-alone", (303, 384))
    assert drawn[free & (labels == 0)].max() == 0
    assert drawn[free & (labels > 0)].max(axis=1).min() > 200


def test_labels_go_with_the_plane_of_the_image(seen: Seen, analyst: User, tmp_path: Path) -> None:
    """Two channels, eight planes, two time points: the slider of the image moves both."""
    dataset = fetched(analyst, CELLS)
    inputs = {"image": f"hda:{dataset['id']}", "selection|channel": "DAPI"}
    of_labels = run(analyst, "chunkwise_segment", inputs, "labels")
    image = voxels(analyst, dataset, tmp_path / "image").astype(float)
    labels = voxels(analyst, of_labels, tmp_path / "labels").reshape(2, 8, 48, 64)
    # DAPI blue from 100 to 2500, GFP green from 100 to 2000: the image's metadata.
    blue = np.clip((image[:, 0] - 100) / 2400, 0, 1) * 255
    green = np.clip((image[:, 1] - 100) / 1900, 0, 1) * 255
    drawn = np.stack([np.zeros_like(blue), green, blue], axis=-1)
    seen.item(of_labels).open()
    viewer = seen.wait()
    # It begins in the middle; a click on the slider moves image and labels on.
    shown = viewer.get_by_text("Z: 4/7").first
    expect(shown).to_be_visible(timeout=PATIENCE)
    slider = shown.locator("xpath=ancestor::*[.//*[@role='slider']][1]").locator(".MuiSlider-root")
    box = slider.bounding_box()
    assert box
    slider.click(position={"x": box["width"] * 6 / 7, "y": box["height"] / 2}, delay=SECONDS)
    expect(viewer.get_by_text("Z: 6/7").first).to_be_visible(timeout=PATIENCE)
    assert_labels_over(*seen.pixels("volume", (48, 64)), drawn[0, 6], labels[0, 6])
    assert not np.array_equal(labels[0, 6], labels[0, 4])


def test_a_deferred_image_is_not_read(seen: Seen, analyst: User) -> None:
    """Galaxy does not offer the viewer for it; whoever comes by an address is told why nothing is seen."""
    image = analyst.deferred(COINS)
    seen.page.goto(f"{analyst.url}/visualizations/display?visualization=chunkwise_vizarr&dataset_id={image}")
    expect(seen.frame.locator("#message")).to_contain_text("it stays on the storage", timeout=PATIENCE)


def test_another_users_private_image_stays_private(galaxy: Galaxy, analyst: User) -> None:
    image = fetched(analyst, COINS)
    analyst.call("PUT", f"/api/datasets/{image['id']}/permissions", {"action": "make_private"})
    other = Seen(galaxy, User(analyst.url, "site"), "site")
    other.page.goto(f"{analyst.url}/visualizations/display?visualization=chunkwise_vizarr&dataset_id={image['id']}")
    message = other.frame.locator("#message")
    expect(message).to_have_text("Galaxy does not let you see this dataset.", timeout=PATIENCE)
    key = f"{analyst.url}/api/datasets/{image['id']}/display?filename=piece.ome.zarr/zarr.json"
    assert other.page.request.get(key).status == 403
