"""Differences and derivatives along z, which planes do not have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters
import tifffile
import zarr

from chunkwise.cli import main
from operations import harness

VOLUME = np.random.default_rng(0).integers(0, 4000, (9, 21, 17)).astype("uint16")
EXPECTED = {
    "sobel": skimage.filters.sobel(VOLUME.astype(float), axis=0),
    "prewitt": skimage.filters.prewitt(VOLUME.astype(float), axis=0),
    "gradient": scipy.ndimage.gaussian_filter(VOLUME.astype(float), 1, (1, 0, 0)),
    "log": scipy.ndimage.gaussian_filter(VOLUME.astype(float), 1, (2, 0, 0)),
}


@pytest.mark.parametrize("method", EXPECTED)
def test_along_z(method: str, tmp_path: Path) -> None:
    image, output = harness.write_image(tmp_path / "i.ome.zarr", VOLUME, "zyx"), tmp_path / "o.ome.zarr"
    words = ["--method", method, "--axis", "z", "--block", "4,8,8", "--workers", "1", "--output", str(output)]
    assert main(["filter", str(image), *words]) == 0
    found: Any = zarr.open_array(output / "0", mode="r")[...]
    np.testing.assert_array_equal(found, EXPECTED[method])


@pytest.mark.parametrize("method", EXPECTED)
@pytest.mark.parametrize("planes", [False, True])
def test_planes_have_no_z(method: str, planes: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voxels, axes = (VOLUME, "zyx") if planes else (VOLUME[0], "yx")
    image, output = harness.write_image(tmp_path / "i.ome.zarr", voxels, axes), tmp_path / "o.ome.zarr"
    words = ["--method", method, "--axis", "z", *["--planes"] * planes, "--workers", "1", "--output", str(output)]
    assert main(["filter", str(image), *words]) == 2
    assert "There are no differences along z in a plane; choose y or x." in capsys.readouterr().err
    assert not output.exists()


def test_sizes_in_micrometres_differ_by_axis(tmp_path: Path) -> None:
    file, again, output = tmp_path / "i.tif", tmp_path / "scaled.ome.zarr", tmp_path / "o.ome.zarr"
    tifffile.imwrite(file, VOLUME, metadata={"axes": "ZYX"})
    assert main(["convert", str(file), "--voxel-size", "2,1,0.5", "--output", str(again)]) == 0
    words = ["--method", "gradient", "--axis", "y", "--sigma", "1", "--sizes-in", "micrometres", "--workers", "1"]
    assert main(["filter", str(again), *words, "--output", str(output)]) == 0
    expected = scipy.ndimage.gaussian_filter(VOLUME.astype(float), (0.5, 1, 2), (0, 1, 0))
    np.testing.assert_array_equal(np.asarray(zarr.open_array(output / "0", mode="r")[...]), expected)
