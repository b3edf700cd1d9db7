"""What the chain of declared kernels has beside them: halos that are taken from the rims of neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy.ndimage import median_filter

from chunkwise.blocks.halo import Rims
from chunkwise.operations import find
from chunkwise.ops import local
from chunkwise.running.request import Destination, Request, Spread
from chunkwise.running.run import run
from operations.harness import write_image

SHAPE = (2, 2, 9, 20, 26)


@pytest.fixture
def image(tmp_path: Path) -> np.ndarray[Any, Any]:
    """Two time points of two channels, in chunks of a few voxels."""
    voxels = np.random.default_rng(0).integers(0, 60000, SHAPE).astype(np.uint16)
    write_image(tmp_path / "i", voxels, "tczyx")
    chunks = (1, 1, 3, 4, 5)
    zarr.create_array(tmp_path / "i" / "0", data=voxels, chunks=chunks, overwrite=True, dimension_names=list("tczyx"))
    return voxels


def filtered(folder: Path, planes: bool, workers: int | None = 1) -> np.ndarray[Any, Any]:
    """The median of the image, in blocks of a few voxels."""
    to = Destination(output=str(folder / "o"), shard=(6, 12, 14), pyramid=False)
    spread = Spread(workers=workers, block=(3, 6, 7))
    operation = find("filter", "median")
    values = operation.check({"size": 3, "planes": planes})
    run(Request(operation, {"image": str(folder / "i")}, values, to, spread))
    return np.asarray(zarr.open_array(folder / "o" / "0", mode="r")[...])


@pytest.mark.parametrize("workers", [1, None], ids=["one", "threads"])
@pytest.mark.parametrize("planes", [False, True])
def test_halos_from_rims(
    tmp_path: Path, image: np.ndarray[Any, Any], planes: bool, workers: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every channel and time point, also in four threads; with one plane alone, along y and x only."""
    monkeypatch.setenv("GALAXY_SLOTS", "4")
    monkeypatch.setattr(local, "WORTH_RIMS", 0.0)
    read, made = Rims.read, []

    def counted(self: Rims, number: int, read_block: Any) -> Any:
        made.append(self.reach)
        return read(self, number, read_block)

    monkeypatch.setattr(Rims, "read", counted)
    size = (1, 1, 1 if planes else 3, 3, 3)
    np.testing.assert_array_equal(filtered(tmp_path, planes, workers), median_filter(image, size))
    assert set(made) == {(0, 1, 1) if planes else (1, 1, 1)}, "every halo came from rims"
    assert len(made) == 4 * 3 * 4 * 4


def test_mutant_rims_of_another_time_point(
    tmp_path: Path, image: np.ndarray[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "WORTH_RIMS", 0.0)
    path = Rims._path
    blocks = 3 * 4 * 4
    monkeypatch.setattr(Rims, "_path", lambda self, number: path(self, number % (2 * blocks)))
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(filtered(tmp_path, False), median_filter(image, (1, 1, 3, 3, 3)))
