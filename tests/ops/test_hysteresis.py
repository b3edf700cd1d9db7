"""Two thresholds: scikit-image's on the whole image, however objects are cut by blocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.filters
import zarr
from scipy import ndimage

from chunkwise.cli import main
from chunkwise.operations import find
from chunkwise.ops.masks import HysteresisVolumes
from operations import harness

HYSTERESIS = find("threshold", "hysteresis")


def noise(shape: tuple[int, ...], dtype: str) -> Any:
    """Winding objects that cross many blocks."""
    smooth = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 1.2)
    return (smooth / smooth.std() * 40 + 100).astype(dtype)


def found(folder: Path, voxels: Any, axes: str, block: tuple[int, ...], **values: Any) -> Any:
    image = harness.write_image(folder / "i.ome.zarr", voxels, axes)
    harness.run_on(HYSTERESIS, image, folder / "o.ome.zarr", values, block)
    return zarr.open_array(folder / "o.ome.zarr" / "0", mode="r")[...]


@pytest.mark.parametrize(
    ("axes", "shape", "block", "dtype"),
    [("yx", (60, 70), (7, 9), "uint8"), ("zyx", (9, 30, 31), (4, 7, 6), "int16"), ("yx", (1, 40), (1, 5), "float32")],
)
def test_it_is_that_of_the_whole_image(
    axes: str, shape: tuple[int, ...], block: tuple[int, ...], dtype: str, tmp_path: Path
) -> None:
    voxels = noise(shape, dtype)
    expected = skimage.filters.apply_hysteresis_threshold(voxels, 115.5, 160)
    assert 0 < expected.sum() < (voxels > 115.5).sum()
    np.testing.assert_array_equal(found(tmp_path, voxels, axes, block, low=115.5, high=160.0), expected)


def test_floats_are_compared_with_all_digits_of_the_lower_threshold(tmp_path: Path) -> None:
    """scikit-image makes a NumPy number of it, and 0.1 as float32 is more than 0.1."""
    voxels = np.array([[0.1, 0.1, 0.9, 0, 0.3]], "float32")
    expected = skimage.filters.apply_hysteresis_threshold(voxels, 0.1, 0.3)
    assert expected.tolist() == [[True, True, True, False, False]]
    np.testing.assert_array_equal(found(tmp_path, voxels, "yx", (1, 2), low=0.1, high=0.3), expected)


def test_mutant_objects_of_a_block_alone_are_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def alone(self: HysteresisVolumes, number: int) -> Any:
        block = self.read(number)
        return skimage.filters.apply_hysteresis_threshold(block, self.values["low"], self.values["high"])

    monkeypatch.setattr(HysteresisVolumes, "compute", alone)
    voxels = noise((60, 70), "uint8")
    expected = skimage.filters.apply_hysteresis_threshold(voxels, 115.5, 160)
    assert not np.array_equal(found(tmp_path, voxels, "yx", (7, 9), low=115.5, high=160.0), expected)


def test_channels_and_planes(tmp_path: Path) -> None:
    voxels = noise((2, 4, 20, 21), "float64")
    voxels[1, 2, 3, 4] = np.nan
    masks = found(tmp_path, voxels, "czyx", (2, 8, 8), low=110.0, high=150.0, planes=True)
    for place in np.ndindex(voxels.shape[:2]):
        expected = skimage.filters.apply_hysteresis_threshold(voxels[place], 110.0, 150.0)
        np.testing.assert_array_equal(masks[place], expected)


def test_a_lower_threshold_that_is_higher_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = harness.write_image(tmp_path / "i.ome.zarr", noise((9, 9), "uint8"), "yx")
    words = ["threshold", str(image), "--method", "hysteresis", "--low", "9", "--high", "3"]
    assert main([*words, "--output", str(tmp_path / "o.ome.zarr")]) == 2
    assert "--low 9 is larger than --high 3." in capsys.readouterr().err
