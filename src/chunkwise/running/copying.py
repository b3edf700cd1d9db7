"""How voxels are copied as they are: which are read at once, so that no tile or strip is decoded twice."""

from __future__ import annotations

from math import gcd, prod

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.ngff.volumes import Selection
from chunkwise.ops.local import LocalVolumes

__all__ = ["copied", "together_of", "wide_block"]

#: Channels that are read at once, at most, and bytes of a block that is more than a shard.
MOST_TOGETHER, WIDEST = 4, 2**27


def copied(selection: Selection, grid: Grid, together: int = 1) -> LocalVolumes:
    """The volumes of a selection, voxels as they are; with so many channels read at once."""
    source = selection.source
    return LocalVolumes(source, grid, selection.channels, source.dtype, np.asarray, together=together)


def together_of(selection: Selection) -> int:
    """How many channels to read at once, so that what holds them all is decoded once: samples of a pixel, mostly."""
    axes, channels = selection.image.axis_names, selection.channels
    if "c" not in axes or channels != tuple(range(channels[0], channels[0] + len(channels))):
        return 1
    stored = gcd(selection.level.chunks[axes.index("c")], channels[0], len(channels))
    return max(n for n in range(1, MOST_TOGETHER + 1) if stored % n == 0)


def wide_block(selection: Selection, shard: tuple[int, ...], together: int) -> tuple[int, ...]:
    """A block of whole shards in which the tiles or strips of the source lie whole, as far as that is not too large.

    A strip as wide as the image would else be decoded once for every shard beside another.
    """
    axes = [axis.type == "space" for axis in selection.image.axes]
    chunks = [n for n, space in zip(selection.level.chunks, axes, strict=True) if space]
    block, size = list(shard), together * np.dtype(selection.level.dtype).itemsize
    for axis in reversed(range(len(shard))):
        needed = -(-min(chunks[axis], selection.source.shape[axis]) // shard[axis]) * shard[axis]
        wider = [*block[:axis], needed, *block[axis + 1 :]]
        if needed > block[axis] and prod(wider) * size <= WIDEST:
            block = wider
    return tuple(block)
