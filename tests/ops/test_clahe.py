"""Equalisation by tiles: scikit-image's on the whole image, whatever the blocks; what it refuses; a preview."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.exposure
import zarr

import chunkwise as cw
from chunkwise.cli import main
from chunkwise.operations import find
from chunkwise.ops.clahe import Tiling
from operations import harness
from operations.reference import reference

CLAHE = find("intensity", "clahe")


@pytest.mark.parametrize(
    ("shape", "kernel_size"),
    [
        ((23, 31), 50),
        ((9, 13, 17), None),
        ((1, 31), 7),
        ((1, 1), None),
        ((1, 16, 20), 6),
        ((5, 16, 20), (40, 3, 30)),
        ((2, 9, 9), 2),
    ],
)
def test_tiles_of_any_size(shape: tuple[int, ...], kernel_size: Any) -> None:
    image = np.random.default_rng(0).integers(0, 4000, shape).astype("uint16")
    for clip_limit, bins in ((0.0, 256), (0.05, 7), (1.0, 5000)):
        values = {"kernel_size": kernel_size, "clip_limit": clip_limit, "bins": bins, "dtype": "float64"}
        expected = reference(CLAHE, image, values)
        np.testing.assert_array_equal(harness.by_blocks(CLAHE, image, values, (3, 7, 6)[-image.ndim :]), expected)


def test_mutant_without_the_mirrored_end_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 4000, (23, 31)).astype("uint16")
    values = CLAHE.own(CLAHE.check({"kernel_size": 9, "dtype": "float64"}))
    expected = reference(CLAHE, image, values)
    np.testing.assert_array_equal(harness.by_blocks(CLAHE, image, values, (7, 9)), expected)
    counted = Tiling.counted

    def once(self: Tiling, axis: int, span: tuple[int, int]) -> Any:
        rows = counted(self, axis, span)
        rows[2] = 1
        return rows

    monkeypatch.setattr(Tiling, "counted", once)
    assert not np.array_equal(harness.by_blocks(CLAHE, image, values, (7, 9)), expected)


def test_planes_sizes_and_regions(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 3000, (2, 5, 21, 34)).astype("uint16") + np.arange(34, dtype="u2") * 9
    image = harness.write_image(tmp_path / "i.ome.zarr", voxels, "czyx")
    part = {"planes": True, "region": "1:4,2:20,3:33", "kernel_size": 7, "dtype": "float64"}
    harness.run_on(CLAHE, image, tmp_path / "o.ome.zarr", part, (2, 8, 8))
    found: Any = zarr.open_array(tmp_path / "o.ome.zarr" / "0", mode="r")[...]
    for place in np.ndindex(found.shape[:2]):
        plane = voxels[:, 1:4, 2:20, 3:33][place]
        np.testing.assert_array_equal(found[place], skimage.exposure.equalize_adapthist(plane, 7))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.5, "Floats have to lie between -1 and 1 to be equalised by tiles, and these go from 0 to 1.5"),
        (np.nan, "The image has voxels that are not numbers (NaN), which cannot be equalised."),
    ],
)
def test_refusals(value: float, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voxels = np.zeros((9, 9), "float32")
    voxels[4, 4] = value
    image, output = harness.write_image(tmp_path / "i.ome.zarr", voxels, "yx"), tmp_path / "o.ome.zarr"
    assert main(["intensity", str(image), "--method", "clahe", "--output", str(output)]) != 0
    assert said in capsys.readouterr().err
    assert not output.exists()


def test_a_preview_is_the_result_in_its_region(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 3000, (90, 120)).astype("uint16") + np.arange(120, dtype="u2") * 20
    image = harness.write_image(tmp_path / "i.ome.zarr", voxels, "yx")
    found: Any = cw.intensity(image, method="clahe", dtype="float64", preview=True, preview_region="20:90,30:100")
    expected = skimage.exposure.equalize_adapthist(voxels)[20:90, 30:100]
    np.testing.assert_array_equal(found.result, expected)
