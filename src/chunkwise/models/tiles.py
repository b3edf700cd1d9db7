"""Tiles: what is handed to the network at once, and which part of what comes back counts.

A tile begins at a multiple of the network's stride and has the same shape all over the image. Of its output
the part counts that lies a halo away from its borders; at the image's edge the tile ends where the image
ends, so that the network's own treatment of the edge is that of the whole image.

An image whose length no whole image of the model may have is extended at its end, to the next length that is
allowed, in the way that the model's description says (mirrored, if it says nothing), and the result is cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import lcm
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.models.package import Size

__all__ = ["Axis", "Tile", "fit_axis", "tiles_of"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Axis:
    """How one spatial axis of a volume is parted into tiles."""

    length: int
    """Of the volume."""
    extended: int
    """What the network would see of it as a whole."""
    tile: int
    stride: int
    halo: int
    """A multiple of the stride."""

    def source(self, mode: str) -> Array:
        """Which voxel of the volume each one of the extended axis is; -1 where it is a constant."""
        indices = np.arange(self.length)
        more = (0, self.extended - self.length)
        if mode == "constant":
            return np.pad(indices, more, constant_values=-1)
        if mode == "edge":
            return np.pad(indices, more, mode="edge")
        if self.length == 1:
            return np.zeros(self.extended, int)  # one voxel is its own mirror image
        return np.pad(indices, more, mode="reflect" if mode == "reflect" else "symmetric")

    def spans(self, start: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Tiles that cover a part of the axis: where each begins, and from where to where its output counts."""
        at = start
        while at < stop:
            begin = min(max(0, (at - self.halo) // self.stride * self.stride), self.extended - self.tile)
            end = begin + self.tile
            last = end if end == self.extended else end - self.halo
            yield begin, at, min(last, stop)
            at = last


@dataclass(frozen=True)
class Tile:
    """One tile: what is read, and what its output gives."""

    begin: tuple[int, ...]
    """In the extended volume."""
    box: tuple[slice, ...]
    """Of the volume: where the output counts."""
    inner: tuple[slice, ...]
    """The same, relative to the tile."""


def fit_axis(length: int, size: Size, stride: int, halo: int, wanted: int) -> Axis:
    """Choose the length of tiles along an axis.

    Parameters
    ----------
    length : int
        Of the volume.
    size : Size
        Lengths that the model's description allows.
    stride : int
        Of the network.
    halo : int
        Voxels that the network looks around itself.
    wanted : int
        Voxels whose output shall count in a tile between two others.

    Raises
    ------
    InputError
        If the description allows no tile that is large enough.
    """
    halo = -(-halo // stride) * stride
    if size.step == 0:
        tile = size.least
        if tile % stride:
            raise InputError(
                f"The model takes tiles of {tile} voxels only, which is not a multiple of its stride of {stride}."
            )
        extended = max(tile, -(-length // stride) * stride)
        if extended > tile and tile <= 2 * halo:
            raise InputError(
                f"The model takes tiles of {tile} voxels only, and looks {halo} voxels around each voxel, so nothing "
                "of a tile is left; it can be run on images up to that size."
            )
        return Axis(length, extended, tile, stride, halo)

    def allowed(least: int) -> int:
        """The smallest length from here on that description and stride allow."""
        step = lcm(size.step, stride)
        for value in range(size.least, size.least + step, size.step):
            if value % stride == 0:
                return value + max(0, -(-(least - value) // step)) * step
        raise InputError(
            f"The model's description allows lengths of {size.least} and every {size.step} more, none of which is a "
            f"multiple of its stride of {stride}."
        )

    extended = allowed(length)
    tile = min(extended, allowed(max(wanted, stride) + 2 * halo))
    return Axis(length, extended, tile, stride, halo)


def tiles_of(axes: tuple[Axis, ...], box: tuple[slice, ...]) -> list[Tile]:
    """Tiles whose outputs make up a box of the volume, in raster order."""
    found = []
    for spans in product(*(axis.spans(part.start, part.stop) for axis, part in zip(axes, box, strict=True))):
        begin = tuple(span[0] for span in spans)
        counts = tuple(slice(span[1], span[2]) for span in spans)
        inner = tuple(slice(c.start - b, c.stop - b) for c, b in zip(counts, begin, strict=True))
        found.append(Tile(begin, counts, inner))
    return found
