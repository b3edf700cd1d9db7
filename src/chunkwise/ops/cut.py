"""A cut of a stored image on its way into one file that any other program opens: what goes in, read slab by slab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.ngff.model import Axis, Channel
from chunkwise.ngff.units import conversion
from chunkwise.ngff.volumes import VolumeSource

__all__ = ["Cut", "Slab"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Slab:
    """Some rows of some planes of one channel at one time."""

    time: int
    channel: int
    first_plane: int
    first_row: int
    voxels: Array
    """Axes z, y, x; rows are whole."""


@dataclass(frozen=True)
class Cut:
    """What goes into the file."""

    name: str
    labels: bool
    sources: tuple[VolumeSource, ...]
    """One a channel, of one shape."""
    channels: tuple[Channel, ...]
    axes: tuple[Axis, ...]
    """Of the image, in any order."""
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    chunks: tuple[int, ...]
    """What is read at once, spatial axes only."""

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """In the order t, c, z, y, x."""
        first = self.sources[0]
        lead = (1,) * (3 - len(first.shape))
        z, y, x = lead + first.shape
        return first.volumes, len(self.sources), z, y, x

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the voxels, as they are stored."""
        return np.dtype(self.sources[0].dtype)

    def sizes_in(self, unit: str) -> dict[str, tuple[float, float]]:
        """Size and position of a voxel along each axis that is measured in a known unit, in another one."""
        found = {}
        for axis, scale, offset in zip(self.axes, self.scale, self.translation, strict=True):
            factor = None if axis.unit is None else conversion(axis.unit, unit)
            if factor is not None:
                found[axis.name] = (scale * factor, offset * factor)
        return found

    def slab_shape(self, tile: int, memory: int) -> tuple[int, int]:
        """How many planes, and rows of them, are read at once: whole chunks, so that none is decoded twice.

        Parameters
        ----------
        tile : int
            Where a plane is read in parts, these have a multiple of so many rows.
        memory : int
            Bytes that a slab may have; one of ``tile`` rows is the least there is.
        """
        _, _, depth, height, width = self.shape
        plane = height * width * self.dtype.itemsize
        if plane > memory:
            return 1, min(height, max(tile, memory // (width * self.dtype.itemsize) // tile * tile))
        fit = min(depth, memory // plane)
        chunk = self.chunks[0] if len(self.chunks) == 3 else 1
        return max(1, fit // chunk * chunk if fit > chunk else fit), height

    def slabs(self, tile: int, memory: int) -> Iterator[Slab]:
        """Read all of it: times, in each the channels, in each the planes, in each the rows; see :meth:`slab_shape`."""
        times, _, depth, height, _ = self.shape
        planes, rows = self.slab_shape(tile, memory)
        for time in range(times):
            for channel in range(len(self.sources)):
                for z in range(0, depth, planes):
                    for y in range(0, height, rows):
                        part = slice(z, min(z + planes, depth)), slice(y, min(y + rows, height))
                        yield Slab(time, channel, z, y, self.read(channel, time, *part))

    def read(self, channel: int, time: int, z: slice, y: slice) -> Array:
        """Read a slab of a channel, with three axes."""
        source = self.sources[channel]
        box = (z, y, slice(0, source.shape[-1]))[-len(source.shape) :]
        return source.read(time, box).reshape(z.stop - z.start, y.stop - y.start, source.shape[-1])

    def memory(self, tile: int, memory: int) -> int:
        """Bytes that are held at most where slabs are read: what is decoded for one, it, and it in another type."""
        planes, rows = self.slab_shape(tile, memory)
        slab = planes * rows * self.shape[-1] * self.dtype.itemsize
        return 3 * slab + 2 * prod(self.chunks) * self.dtype.itemsize
