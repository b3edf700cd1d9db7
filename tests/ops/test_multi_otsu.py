"""Several thresholds at once: against scikit-image on the whole volume, and what is refused."""

from __future__ import annotations

from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.filters
import zarr

import chunkwise as cw
from chunkwise.cli import main
from chunkwise.ops.multi_otsu import LONGEST, STEPS
from operations import harness


def classes(voxels: Any, count: int) -> Any:
    """What scikit-image makes of a volume."""
    return np.digitize(voxels, skimage.filters.threshold_multiotsu(voxels, count))


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint32", "float32", "float64"])
@pytest.mark.parametrize("count", [2, 4])
def test_each_channel_is_that_of_scikit_image(dtype: str, count: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    voxels = np.concatenate([rng.normal(mean, 6, (2, 30, 17)) for mean in (40, 90, 150, 210)], axis=2)
    voxels[1] = 250 - voxels[1]
    image = harness.write_image(tmp_path / "i.ome.zarr", voxels.clip(0, 255).astype(dtype), "cyx")
    output = tmp_path / "o.ome.zarr"
    words = ["--method", "multi-otsu", "--classes", str(count), "--block", "8,8", "--workers", "1"]
    assert main(["threshold", str(image), *words, "--output", str(output)]) == 0
    found: Any = zarr.open_array(output / "0", mode="r")[...]
    assert set(np.unique(found)) == set(range(count))
    for made, channel in zip(found, zarr.open_array(image / "0", mode="r")[...], strict=True):
        np.testing.assert_array_equal(made, classes(channel, count))


@pytest.mark.parametrize(
    ("values", "count", "said"),
    [
        ([7, 7], 2, "of a volume that has only 1 different intensity; ask"),
        ([7, 9], 3, "'multi-otsu' cannot make 3 classes of a volume that has only 2 different intensities"),
        ([0, 5, 20000], 3, ": too many for 3 classes of 20001 intensities"),
        ([0, 5, 9, 30, 999], 5, ": too many for 5 classes of 1000 intensities"),
        ([0.5, np.inf], 2, "Nothing was found by 'multi-otsu': the volume of time point 0 has values that are not"),
    ],
)
def test_refusals(
    values: list[float], count: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kind = "float32" if isinstance(values[0], float) else "uint16"
    image = harness.write_image(tmp_path / "i.ome.zarr", np.resize(np.array(values, kind), (9, 9)), "yx")
    output = tmp_path / "o.ome.zarr"
    words = ["--method", "multi-otsu", "--classes", str(count), "--output", str(output)]
    assert main(["threshold", str(image), *words]) == 2
    assert said in capsys.readouterr().err
    assert not output.exists()


def test_a_preview_is_the_result_in_its_region(tmp_path: Path) -> None:
    voxels = np.random.default_rng(1).integers(0, 300, (90, 120)).astype("uint16")
    image = harness.write_image(tmp_path / "i.ome.zarr", voxels, "yx")
    found: Any = cw.threshold(image, method="multi-otsu", preview=True, preview_region="20:90,30:100")
    np.testing.assert_array_equal(found.result, classes(voxels, 3)[20:90, 30:100])


def test_the_page_says_how_many_intensities_there_may_be() -> None:
    page = (Path(__file__).parents[2] / "docs/commands/threshold.md").read_text()
    assert "16 384 with three classes, about 3100 with four, 590 with five" in page
    assert (LONGEST, comb(3100, 3) < STEPS < comb(3150, 3), comb(590, 4) < STEPS < comb(591, 4)) == (16384, True, True)
