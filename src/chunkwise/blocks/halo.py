"""Halos without reading neighbours' chunks: every block leaves its rim where its neighbours find it.

A block with a halo of a few voxels touches the chunks of all its neighbours, and decoding whole
chunks for a thin rim costs many times the block itself: 13 times, for blocks of 256 x 256 x 256 in
chunks of 64 x 256 x 256. So one pass reads every block once and writes its rims, a few per cent of
the voxels, into scratch; later passes read a block's own chunks and the rims around it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.grid import Box, Grid
from chunkwise.storage.writer import StoredObject, put_object

__all__ = ["Rims", "reading_cost"]

Array = np.ndarray[Any, Any]


def reading_cost(grid: Grid, reach: tuple[int, ...], chunks: tuple[int, ...], origin: tuple[int, ...]) -> float:
    """Chunks that blocks with their halos touch, for each chunk that the blocks alone touch.

    Parameters
    ----------
    grid : Grid
        Of the blocks.
    reach : tuple of int
        Thickness of the halo along each axis.
    chunks : tuple of int
        Of the array that is read, spatial axes only.
    origin : tuple of int
        Where the volume begins in the array.
    """
    cost = 1.0
    for axis, (size, chunk, begin, far) in enumerate(zip(grid.shape, chunks, origin, reach, strict=True)):
        alone = around = 0
        for i in range(grid.blocks_shape[axis]):
            part = grid.span(axis, i)
            low, high = max(0, part.start - far), min(size, part.stop + far)
            alone += (begin + part.stop - 1) // chunk - (begin + part.start) // chunk + 1
            around += (begin + high - 1) // chunk - (begin + low) // chunk + 1
        cost *= around / alone
    return cost


@dataclass(frozen=True)
class Rims:
    """The rims of a grid's blocks, in the scratch folder of a run.

    A block's file holds, for every axis, the first and the last ``reach`` layers that face a
    neighbour, one after the other, uncompressed, so that a neighbour can take the part it needs.
    """

    folder: str
    """Of the run."""
    grid: Grid
    reach: tuple[int, ...]
    dtype: str

    @staticmethod
    def possible(grid: Grid, reach: tuple[int, ...]) -> bool:
        """Whether a halo never reaches beyond the next block: only the last of an axis may be thinner."""
        return all(
            grid.span(axis, i).stop - grid.span(axis, i).start >= reach[axis]
            for axis, count in enumerate(grid.blocks_shape)
            # Along an axis the thinnest is the last of a unit; all units but the last are alike.
            for i in range(min(count - 1, -(-grid.unit[axis] // grid.block[axis]) + 1))
        )

    def _path(self, number: int) -> str:
        return f"scratch/rims/{number // 1000}/{number}.raw"

    def _slabs(self, index: tuple[int, ...]) -> dict[tuple[int, int], tuple[int, tuple[int, ...]]]:
        """Offset and shape of every slab of a block, by axis and side."""
        shape = tuple(part.stop - part.start for part in (self.grid.span(a, i) for a, i in enumerate(index)))
        slabs, offset = {}, 0
        for axis, (i, count) in enumerate(zip(index, self.grid.blocks_shape, strict=True)):
            for side, there in ((-1, i > 0), (1, i < count - 1)):
                if there:
                    thick = min(self.reach[axis], shape[axis])
                    slab = (*shape[:axis], thick, *shape[axis + 1 :])
                    slabs[axis, side] = offset, slab
                    offset += prod(slab) * np.dtype(self.dtype).itemsize
        return slabs

    def write(self, number: int, block: Array) -> StoredObject:
        """Write the rims of a block.

        Parameters
        ----------
        number : int
            ``volume * grid.n_blocks + block``.
        block : ndarray
            The block's voxels, without a halo.
        """
        parts = []
        for (axis, side), (_, shape) in self._slabs(self.grid.index(number % self.grid.n_blocks)).items():
            cut = slice(0, shape[axis]) if side < 0 else slice(block.shape[axis] - shape[axis], None)
            parts.append(np.ascontiguousarray(block[(*[slice(None)] * axis, cut)]).tobytes())
        return put_object(self.folder, self._path(number), b"".join(parts))

    def read(self, number: int, read_block: Callable[[Box], Array]) -> tuple[Array, Box]:
        """Read a block with its halo.

        Parameters
        ----------
        number : int
            ``volume * grid.n_blocks + block``.
        read_block : callable
            Reads a box of the volume; called with the block's own box.

        Returns
        -------
        ndarray, box
            The voxels of the halo box, and that box.
        """
        grid = self.grid
        volume, block = divmod(number, grid.n_blocks)
        box = grid.block_box(block)
        outer = grid.halo_box(box, self.reach)
        whole = np.empty(tuple(part.stop - part.start for part in outer), self.dtype)
        whole[inside(box, outer)] = read_block(box)
        index = grid.index(block)
        for direction in product((-1, 0, 1), repeat=len(index)):
            other = tuple(i + d for i, d in zip(index, direction, strict=True))
            if not any(direction) or not all(0 <= i < n for i, n in zip(other, grid.blocks_shape, strict=True)):
                continue
            there = grid.block_box(grid.block_id(other))
            shared = tuple(slice(max(o.start, t.start), min(o.stop, t.stop)) for o, t in zip(outer, there, strict=True))
            if any(part.stop <= part.start for part in shared):
                continue  # there is no halo along that axis
            whole[inside(shared, outer)] = self._rim(volume, other, direction, shared, there)
        return whole, outer

    def _rim(self, volume: int, index: tuple[int, ...], direction: tuple[int, ...], shared: Box, there: Box) -> Array:
        """The part of a neighbour that a halo needs, from the slab that faces the first axis of the direction."""
        axis = next(a for a, d in enumerate(direction) if d)
        offset, shape = self._slabs(index)[axis, -direction[axis]]
        number = volume * self.grid.n_blocks + self.grid.block_id(index)
        path = os.path.join(self.folder, self._path(number))
        slab = np.memmap(path, self.dtype, "r", offset, shape)
        begin = [part.start for part in there]
        if direction[axis] < 0:
            begin[axis] = there[axis].stop - shape[axis]
        return slab[tuple(slice(s.start - b, s.stop - b) for s, b in zip(shared, begin, strict=True))]
