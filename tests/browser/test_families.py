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
from tests.browser.histories import uploaded
from tests.browser.pages import Galaxy, Item
from tests.browser.results import a_stack, reader_of, voxels_of

from whole_image import reference_split
from whole_shapes import whole_shapes

#: What the results are called in the history, after the name of the image.
NAMES = [
    "image",
    "filtered (median)",
    "projection (max)",
    "corrected (white-tophat)",
    "intensity (clip)",
    "mask (otsu)",
    "morphology (open)",
    "labels (split)",
    "labels (join)",
    "labels (points)",
]

pytestmark = [pytest.mark.browser, pytest.mark.galaxy]


def test_from_a_stack_to_objects_and_spots(galaxy: Galaxy, tmp_path: Path) -> None:
    """From convert to overlay: twelve families, some with two methods.

    Like most people, this one fills in the next form while the job before it still waits.
    """
    file = a_stack(tmp_path)
    rgb = data.immunohistochemistry()[:96, :128]
    tifffile.imwrite(tmp_path / "slide.tif", rgb, photometric="rgb")
    galaxy.log_in("analyst")
    galaxy.new_history()
    image, slide = uploaded(galaxy, file, tmp_path / "slide.tif")
    form = galaxy.tool("chunkwise_channels")
    form.pick("image", slide)
    form.choose("method", "deconvolve")
    galaxy.shot("family-channels")
    stains = form.run()["output"]
    made: list[tuple[Item, np.ndarray]] = []

    def step(tool: str, expected: np.ndarray, *, on: Item | None = None, **options: str | Item) -> np.ndarray:
        """Run a tool on what the last one makes; what that is to be, with one axis fewer where that has one voxel."""
        form = galaxy.tool(f"chunkwise_{tool}")
        form.pick("image", on or (made[-1][0] if made else image))
        for name, value in options.items():
            if isinstance(value, Item):
                form.pick(name, value)
            elif name == "method":
                form.choose(name, value)
            else:
                form.type(name, value)
        galaxy.shot(f"family-{len(made)}-{tool}")
        made.append((form.run()["output"], expected))
        return expected

    volume = step("convert", tifffile.imread(file))
    smooth = step("filter", ndimage.median_filter(volume, 5), method="median", size="5")
    assert (smooth != volume).mean() > 0.5
    projection = step("project", smooth.max(axis=0), method="max")
    projected, _ = made[-1]
    even = step(
        "background", morphology.white_tophat(projection, morphology.disk(9)), method="white-tophat", radius="9"
    )
    low, high = (int(one) for one in np.percentile(even, (20, 90)))
    even = step("intensity", even.clip(low, high), method="clip", low=str(low), high=str(high))
    mask = step("threshold", even > filters.threshold_otsu(even), method="otsu")
    mask = step("morphology", morphology.opening(mask, morphology.disk(1)), method="open", radius="1")
    parts = reference_split(measure.label(mask), (1, 1), 7, 2)
    assert parts.max() > measure.label(mask).max() > 3
    step("label", parts, method="split", min_distance="7")

    # What a person has written into a table: which objects are one, and that the last one goes.
    parents = [0, *((number + 1) // 2 for number in range(1, parts.max())), 0]
    lines = ["label\tparent", *(f"{number}\t{parent}" for number, parent in enumerate(parents))]
    (tmp_path / "parents.tsv").write_text("\n".join(lines) + "\n")
    (table,) = uploaded(galaxy, tmp_path / "parents.tsv")
    objects = step("label", np.asarray(parents)[parts], method="join", table=table, column="parent")
    joined, _ = made[-1]

    form = galaxy.tool("chunkwise_spots")
    form.pick("image", projected)
    form.choose("method", "peaks")
    form.type("distance", "3")
    galaxy.shot("family-spots")
    spots = form.run()["spots"]
    gentle, box = ndimage.gaussian_filter(projection.astype(float), 1), np.ones((7, 7))
    peaks = feature.peak_local_max(gentle, footprint=box, threshold_rel=0.1, exclude_border=False)
    assert len(peaks) > 3
    marks = whole_shapes(projection.shape, [(number, place, 2.5) for number, place in enumerate(peaks, 1)])
    step("points", marks, on=projected, points=spots, radius="2.5")

    form = galaxy.tool("chunkwise_math")
    form.pick("image", projected)
    form.choose("images|count", "2")
    form.pick("images|b", joined)
    form.type("expression", "where(b > 0, sqrt(a) / 2, 0)")
    galaxy.shot("family-math")
    assert galaxy.page.get_by_text("Nothing selected").count() == 0
    roots = form.run()["output"]

    form = galaxy.tool("chunkwise_overlay")
    form.pick("image", projected)
    form.pick("labels", joined)
    form.choose("kind", "one")
    form.type("color", "FF0000")
    picture = form.run()["picture"]

    for number, (item, expected) in enumerate(made):
        found = voxels_of(item.wait(), "analyst", tmp_path / f"{number}")
        np.testing.assert_array_equal(np.squeeze(found), expected, item.name)
    assert [item.name.partition(": ")[2] for item, _ in made] == NAMES
    found = voxels_of(stains.wait(), "analyst", tmp_path / "stains")
    expected = color.separate_stains(rgb, color.hed_from_rgb).astype("float32")
    np.testing.assert_allclose(np.squeeze(np.moveaxis(found, 0, -1)), expected, rtol=0, atol=1e-6)
    reader = reader_of(spots.told, galaxy.url, "analyst")
    rows = np.genfromtxt(BytesIO(reader.content(reader.wait(spots.told["id"]))), names=True, delimiter="\t")
    assert {*zip(rows["y"], rows["x"], strict=True)} == {(y, x) for y, x in peaks}
    found = voxels_of(roots.wait(), "analyst", tmp_path / "math")
    np.testing.assert_allclose(np.squeeze(found), np.where(objects, np.sqrt(projection) / 2, 0), rtol=1e-6)
    (tmp_path / "overlay.png").write_bytes(reader.content(reader.wait(picture.wait().told["id"])))
    red = np.asarray(Image.open(tmp_path / "overlay.png")).astype(int)
    outlines = segmentation.find_boundaries(objects, mode="inner")
    np.testing.assert_array_equal((red == (255, 0, 0)).all(axis=-1), outlines)
    galaxy.shot("family-history")
