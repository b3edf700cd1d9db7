"""What the harness over all declarations does not feed to filters: voxels that are no numbers, and wide integers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy.ndimage import uniform_filter

from chunkwise.cli import main
from operations.harness import write_image


def filtered(folder: Path, image: np.ndarray[Any, Any], block: str) -> np.ndarray[Any, Any]:
    """The mean of the image, by blocks."""
    place, output = folder / "i", folder / f"{block}.ome.zarr"
    if not place.exists():
        write_image(place, image, "yx")
    words = ["--method", "mean", "--size", "5", "--block", block, "--workers", "1", "--output", str(output)]
    assert main(["filter", str(place), *words]) == 0
    return np.asarray(zarr.open_array(output / "0", mode="r")[...])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "uint64"])
def test_blocks_change_no_bit_of_a_mean(tmp_path: Path, dtype: str) -> None:
    """SciPy's running sums would: they are rounded on the way, and a voxel that is no number stays in them."""
    rng = np.random.default_rng(0)
    if dtype.startswith("float"):
        image = rng.normal(size=(40, 52)) * 10.0 ** rng.integers(-8, 8, (40, 52))
        image[7, 9], image[20, 33] = np.nan, np.inf
    else:
        image = rng.integers(2**58, 2**62, (40, 52))
    image = image.astype(dtype)
    whole = filtered(tmp_path, image, "40,52")
    np.testing.assert_array_equal(filtered(tmp_path, image, "9,11"), whole)
    if dtype.startswith("float"):
        assert np.isnan(whole).sum() == 25, "no further than the box"
        assert np.isinf(whole).sum() == 25
    parts = np.concatenate([uniform_filter(image[:, :26], 5)[:, :20], uniform_filter(image[:, 18:], 5)[:, 2:]], 1)
    assert parts.shape == whole.shape
    mutant = uniform_filter(image, 5)
    assert not np.array_equal(parts, mutant, equal_nan=dtype.startswith("float")), "this is what would be seen"


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_a_mean_of_whole_numbers_is_that_of_scipy(tmp_path: Path, dtype: str) -> None:
    image = np.random.default_rng(1).integers(0, 2**40, (40, 52)).astype(dtype)
    np.testing.assert_array_equal(filtered(tmp_path, image, "9,11"), uniform_filter(image, 5))
