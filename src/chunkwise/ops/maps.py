"""Maps: what a model says of every voxel, read by workers from the channels of one image."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Box
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.volumes import BlockedVolumes

__all__ = ["MapVolumes", "Maps", "values_of"]

Array = np.ndarray[Any, Any]


def values_of(stored: Array) -> Array:
    """Turn stored voxels into the numbers that they stand for.

    Whole numbers of 8 bits stand for 0 to 1 (``stored / 255``), as ``chunkwise predict`` writes probabilities to save
    room; others are what they are. The result is float32 where that holds every number, else float64.
    """
    if stored.dtype == np.uint8:
        return np.asarray(stored.astype(np.float32) / np.float32(255))
    if stored.dtype.itemsize <= 2 or stored.dtype == np.float32:
        return stored.astype(np.float32, copy=False)
    return stored.astype(np.float64, copy=False)


@dataclass(frozen=True)
class Maps:
    """Some channels of one image, in the order in which an operation wants them."""

    sources: tuple[VolumeSource, ...]

    @property
    def bytes_a_voxel(self) -> int:
        """What :meth:`read` holds for each voxel: all maps, and one of them as it is stored."""
        item = 4 if values_of(np.zeros(1, self.sources[0].dtype)).dtype == np.float32 else 8
        return (len(self.sources) + 1) * item

    def read(self, volume: int, box: Box) -> Array:
        """Read a box of every map: ``(n, *box)``."""
        first = values_of(self.sources[0].read(volume, box))
        if len(self.sources) == 1:
            return first[np.newaxis]
        found = np.empty((len(self.sources), *first.shape), first.dtype)
        found[0] = first
        for number, source in enumerate(self.sources[1:], start=1):
            found[number] = values_of(source.read(volume, box))
        return found


@dataclass(frozen=True)
class MapVolumes(BlockedVolumes):
    """The volumes of a map that a mask is taken from, as they are."""

    def mask(self, number: int, threshold: Any, dark: bool) -> Array:
        """Compare a block with a threshold: ``> threshold``, or for dark objects ``<= threshold``."""
        volume, block = self.place(number)
        values = values_of(self.source.read(volume, self.grid.block_box(block)))
        return np.asarray(values <= threshold if dark else values > threshold)
