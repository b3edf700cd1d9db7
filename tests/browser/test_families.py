"""A tool of every family, its form filled and run by clicks, one on the result of another; held to the literal call."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from scipy import ndimage
from skimage import color, data, feature, filters, measure, morphology, segmentation
from tests.browser.pages import Galaxy, Item
from tests.browser.results import a_stack, reader_of, voxels_of

#: What the results are called in the history, after the name of the image.
NAMES = [
    "projection (max)",
    "corrected (white-tophat)",
    "intensity (clip)",
    "mask (otsu)",
    "morphology (open)",
    "labels (components)",
    "labels (expand)",
]

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]


def test_from_a_stack_to_grown_objects(galaxy: Galaxy, tmp_path: Path) -> None:
    """Project, background, intensity, threshold, morphology, label; math, spots and overlay."""
    file = a_stack(tmp_path)
    galaxy.log_in("analyst")
    galaxy.new_history()
    upload = galaxy.upload()
    upload.choose(file)
    (last,) = upload.start()
    last.wait()
    made: list[Item] = []

    def step(tool: str, method: str, **options: str) -> np.ndarray:
        nonlocal last
        form = galaxy.tool(f"chunkwise_{tool}")
        form.pick("image", last)
        form.choose("method", method)
        for name, value in options.items():
            form.type(name, value)
        galaxy.shot(f"family-{tool}")
        last = form.run()["output"].wait()
        made.append(last)
        return voxels_of(last, "analyst", tmp_path / tool)

    image = tifffile.imread(file).max(axis=0)
    np.testing.assert_array_equal(np.squeeze(step("project", "max")), image)
    image = morphology.white_tophat(image, morphology.disk(9))
    np.testing.assert_array_equal(np.squeeze(step("background", "white-tophat", radius="9")), image)
    low, high = (int(one) for one in np.percentile(image, (20, 90)))
    image = image.clip(low, high)
    np.testing.assert_array_equal(np.squeeze(step("intensity", "clip", low=str(low), high=str(high))), image)
    mask = image > filters.threshold_otsu(image)
    np.testing.assert_array_equal(np.squeeze(step("threshold", "otsu")) > 0, mask)
    mask = morphology.opening(mask, morphology.disk(1))
    np.testing.assert_array_equal(np.squeeze(step("morphology", "open", radius="1")) > 0, mask)
    objects = measure.label(mask)
    assert objects.max() > 3
    np.testing.assert_array_equal(np.squeeze(step("label", "components")), objects)
    objects = segmentation.expand_labels(objects, 2)
    np.testing.assert_array_equal(np.squeeze(step("label", "expand", distance="2")), objects)

    projection = tifffile.imread(file).max(axis=0)
    form = galaxy.tool("chunkwise_math")
    form.pick("image", made[0])
    form.choose("images|count", "2")
    form.pick("images|b", last)
    form.type("expression", "where(b > 0, sqrt(a) / 2, 0)")
    galaxy.shot("family-math")
    assert galaxy.page.get_by_text("Nothing selected").count() == 0
    found = voxels_of(form.run()["output"].wait(), "analyst", tmp_path / "math")
    np.testing.assert_allclose(np.squeeze(found), np.where(objects, np.sqrt(projection) / 2, 0), rtol=1e-6)

    form = galaxy.tool("chunkwise_spots")
    form.pick("image", made[0])
    form.choose("method", "peaks")
    form.type("distance", "3")
    galaxy.shot("family-spots")
    table = form.run()["spots"].wait()
    reader = reader_of(table.told, galaxy.url, "analyst")
    rows = np.genfromtxt(BytesIO(reader.content(reader.wait(table.told["id"]))), names=True, delimiter="\t")
    smooth, box = ndimage.gaussian_filter(projection.astype(float), 1), np.ones((7, 7))
    peaks = feature.peak_local_max(smooth, footprint=box, threshold_rel=0.1, exclude_border=False)
    assert len(peaks) > 3
    assert {*zip(rows["y"], rows["x"], strict=True)} == {(y, x) for y, x in peaks}

    form = galaxy.tool("chunkwise_overlay")
    form.pick("image", made[0])
    form.pick("labels", last)
    form.choose("kind", "one")
    form.type("color", "FF0000")
    picture = form.run()["picture"].wait()
    reader = reader_of(picture.told, galaxy.url, "analyst")
    (tmp_path / "overlay.png").write_bytes(reader.content(reader.wait(picture.told["id"])))
    red = np.asarray(Image.open(tmp_path / "overlay.png")).astype(int)
    outlines = segmentation.find_boundaries(objects, mode="inner")
    np.testing.assert_array_equal((red == (255, 0, 0)).all(axis=-1), outlines)
    galaxy.shot("family-history")
    assert [item.name.partition(": ")[2] for item in made] == NAMES


def test_the_stains_of_a_slide(galaxy: Galaxy, tmp_path: Path) -> None:
    """From an RGB TIFF to a channel for each stain."""
    slide = data.immunohistochemistry()[:96, :128]
    tifffile.imwrite(tmp_path / "slide.tif", slide, photometric="rgb")
    galaxy.log_in("analyst")
    galaxy.new_history()
    upload = galaxy.upload()
    upload.choose(tmp_path / "slide.tif")
    (uploaded,) = upload.start()
    uploaded.wait()
    form = galaxy.tool("chunkwise_channels")
    form.pick("image", uploaded)
    form.choose("method", "deconvolve")
    galaxy.shot("family-channels")
    stains = voxels_of(form.run()["output"].wait(), "analyst", tmp_path / "stains")
    expected = color.separate_stains(slide, color.hed_from_rgb).astype("float32")
    np.testing.assert_allclose(np.squeeze(np.moveaxis(stains, 0, -1)), expected, rtol=0, atol=1e-6)
