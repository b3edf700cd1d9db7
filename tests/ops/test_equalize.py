"""Equalisation by the histogram of a volume: of numbers that are far apart, of floats, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.exposure
import zarr

import chunkwise as cw
from chunkwise.cli import main
from operations import harness


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64", "float32"])
def test_each_channel_is_that_of_scikit_image(dtype: str, tmp_path: Path) -> None:
    voxels = np.random.default_rng(0).normal(100, 20, (2, 30, 41)).astype(dtype)
    voxels[1] += 30
    image, output = harness.write_image(tmp_path / "i.ome.zarr", voxels, "cyx"), tmp_path / "o.ome.zarr"
    words = ["--method", "equalize", "--bins", "50", "--dtype", "float64", "--block", "8,8", "--workers", "1"]
    assert main(["intensity", str(image), *words, "--output", str(output)]) == 0
    found: Any = zarr.open_array(output / "0", mode="r")[...]
    for made, channel in zip(found, voxels, strict=True):
        np.testing.assert_array_equal(made, skimage.exposure.equalize_hist(channel, 50).astype("float64"))


def test_numbers_that_floats_cannot_tell_apart(tmp_path: Path) -> None:
    voxels = np.array([[2**63, 2**63 + 1], [2**63 + 2, 2**63 + 2]], "uint64")
    image, output = harness.write_image(tmp_path / "i.ome.zarr", voxels, "yx"), tmp_path / "o.ome.zarr"
    words = ["--method", "equalize", "--dtype", "float64", "--output", str(output)]
    assert main(["intensity", str(image), *words]) == 0
    np.testing.assert_array_equal(zarr.open_array(output / "0", mode="r")[...], [[0.25, 0.5], [1, 1]])


@pytest.mark.parametrize(
    ("dtype", "value", "said"),
    [
        (
            "float32",
            np.nan,
            "Nothing was found by 'equalize': the volume of time point 0 has values that are not finite.",
        ),
        (
            "uint32",
            2**22,
            "'equalize' counts every whole number, and this image has a range of 4194304, which is too much",
        ),
    ],
)
def test_refusals(dtype: str, value: float, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    voxels = np.zeros((9, 9), dtype)
    voxels[4, 4] = value
    image, output = harness.write_image(tmp_path / "i.ome.zarr", voxels, "yx"), tmp_path / "o.ome.zarr"
    assert main(["intensity", str(image), "--method", "equalize", "--output", str(output)]) != 0
    assert said in capsys.readouterr().err
    assert not output.exists()


def test_a_preview_is_the_result_in_its_region(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 3000, (90, 120)).astype("uint16")
    image = harness.write_image(tmp_path / "i.ome.zarr", voxels, "yx")
    part = {"preview": True, "preview_region": "20:90,30:100"}
    found: Any = cw.intensity(image, method="equalize", dtype="float64", **part)
    np.testing.assert_array_equal(found.result, skimage.exposure.equalize_hist(voxels)[20:90, 30:100])


FINITE, SPAN = ("float32", np.nan, "has values that are not finite"), ("uint32", 2**32 - 1, "range of 4294967295, ")


@pytest.mark.parametrize(
    ("method", "dtype", "value", "said"),
    [
        *((method, *FINITE) for method in ("intensity equalize", "threshold multi-otsu", "threshold li")),
        *((method, *SPAN) for method in ("intensity equalize", "threshold multi-otsu")),
    ],
)
def test_a_preview_refuses_what_the_run_does(
    method: str, dtype: str, value: float, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    voxels = np.arange(81, dtype=dtype).reshape(9, 9)
    voxels[4, 4] = value
    image, (command, name) = harness.write_image(tmp_path / "i.ome.zarr", voxels, "yx"), method.split()
    words = ["--method", name, "--preview", str(tmp_path / "p.png"), "--preview-region", "0:5,0:5"]
    assert main([command, str(image), *words]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "p.png").exists()
