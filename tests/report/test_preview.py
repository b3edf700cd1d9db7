"""Which part of a store a picture is made from, and how much is read for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from chunkwise.ngff.read import open_image
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.report.preview import read_plane
from chunkwise.storage.arrays import Box
from chunkwise.storage.location import resolve
from made_stores import multiscale, write


def made(path: Path, axes: str, shape: tuple[int, ...], levels: int = 1, chunk: int = 64, **more: Any) -> Any:
    """Write a store whose level 0 counts its voxels."""
    write(path, axes=axes, shape=shape, entry=multiscale(axes, levels), chunk=chunk, **more)
    array = zarr.open_array(path / "0", mode="r+")
    array[...] = np.arange(np.prod(shape)).reshape(shape) % 60_000
    return open_image(resolve(str(path), None)), array[...]


def test_the_smallest_level_that_is_large_enough(tmp_path: Path) -> None:
    image, _ = made(tmp_path / "i.zarr", "yx", (600, 2400), levels=4)
    plane = read_plane(image)
    assert (plane.level, plane.data.shape) == (2, (150, 600))
    assert plane.caption.startswith("level 2")


def test_a_small_stack_is_projected(tmp_path: Path) -> None:
    image, data = made(tmp_path / "i.zarr", "tczyx", (2, 3, 4, 20, 30))
    plane = read_plane(image, channel=2)
    assert (plane.data == data[0, 2].max(axis=0)).all()
    assert "first time point" in plane.caption
    assert "highest value along z of 4 planes" in plane.caption
    assert "20 × 30 micrometer" in plane.caption


def test_labels_are_shown_by_their_middle_plane(tmp_path: Path) -> None:
    image, data = made(tmp_path / "i.zarr", "zyx", (5, 20, 30), extra={"image-label": {}})
    plane = read_plane(image)
    assert (plane.data == data[2]).all()
    assert "plane 2 of 5" in plane.caption


@pytest.mark.parametrize(("budget", "height", "width"), [(4_000_000, 300, 400), (1_300_000, 150, 200), (1, 37, 50)])
def test_no_more_is_read_than_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, budget: int, height: int, width: int
) -> None:
    image, data = made(tmp_path / "i.zarr", "zyx", (32, 300, 400), chunk=16)
    boxes: list[Box] = []
    honest = VolumeSource.read
    monkeypatch.setattr(VolumeSource, "read", lambda self, n, box: boxes.append(box) or honest(self, n, box))
    plane = read_plane(image, budget=budget)
    assert plane.data.shape == (height, width)
    top, left = (300 - height) // 2, (400 - width) // 2
    assert (plane.data == data[16, top : top + height, left : left + width]).all()
    assert ("only the central" in plane.caption) == (height < 300)
    chunks = [-(-part.stop // 16) - part.start // 16 for part in boxes[0]]
    # A picture of less than 64 voxels would show nothing, whatever the budget.
    assert np.prod(chunks) * 16**3 * 2 <= budget or max(height, width) <= 64
