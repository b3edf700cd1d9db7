"""Arrays are opened once, and anew where another one took the name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import zarr

from chunkwise.storage.arrays import open_array
from chunkwise.storage.location import Location


def _make(path: Path, size: int) -> None:
    array: Any = zarr.create_array(path, shape=(size, size), chunks=(2, 2), dtype="uint16", overwrite=True)
    array[...] = size


def test_another_array_of_the_same_name(tmp_path: Path) -> None:
    location = Location(str(tmp_path / "a"))
    _make(tmp_path / "a", 4)
    first = open_array(location)
    assert open_array(location) is first
    _make(tmp_path / "a", 6)
    second = open_array(location)
    assert second.shape == (6, 6)
    np.testing.assert_array_equal(second.read((slice(0, 6), slice(0, 6))), np.full((6, 6), 6))
