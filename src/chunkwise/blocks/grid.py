"""The grid: integer ids of blocks and units, and the boxes they stand for.

A *unit* is what one writer owns: whole shards of the output. A *block* is what is computed at
once; any size will do, because every unit is tiled by blocks from its own corner. A volume of a
million blocks needs no list: everything is arithmetic on the three shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np

__all__ = ["Box", "Grid"]

Box = tuple[slice, ...]


@dataclass(frozen=True)
class Grid:
    """Blocks and units of one volume.

    Parameters
    ----------
    shape : tuple of int
        Of the volume.
    unit : tuple of int
        Of a unit; at least ``block`` in every axis, and a multiple of the output's shard.
    block : tuple of int
        Of a block.
    """

    shape: tuple[int, ...]
    unit: tuple[int, ...]
    block: tuple[int, ...]

    @classmethod
    def fit(cls, shape: tuple[int, ...], shard: tuple[int, ...], block: tuple[int, ...]) -> Grid:
        """Choose the unit: as few whole shards as hold a block."""
        block = tuple(min(b, n) for b, n in zip(block, shape, strict=True))
        unit = tuple(-(-b // s) * s for b, s in zip(block, shard, strict=True))
        return cls(shape, unit, block)

    def layout(self, volumes: int) -> dict[str, Any]:
        """What a plan says of so many volumes."""
        return {"shape": list(self.shape), "volumes": volumes, "unit": list(self.unit), "block": list(self.block)}

    @property
    def _per_unit(self) -> tuple[int, ...]:
        return tuple(-(-u // b) for u, b in zip(self.unit, self.block, strict=True))

    @property
    def units_shape(self) -> tuple[int, ...]:
        """Number of units along each axis."""
        return tuple(-(-n // u) for n, u in zip(self.shape, self.unit, strict=True))

    @property
    def blocks_shape(self) -> tuple[int, ...]:
        """Number of blocks along each axis."""
        counts = []
        for n, u, b, per in zip(self.shape, self.unit, self.block, self._per_unit, strict=True):
            last = n - (-(-n // u) - 1) * u
            counts.append((-(-n // u) - 1) * per + -(-last // b))
        return tuple(counts)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return prod(self.units_shape)

    @property
    def n_blocks(self) -> int:
        """Number of blocks."""
        return prod(self.blocks_shape)

    def index(self, block: int) -> tuple[int, ...]:
        """Position of a block in the grid of blocks."""
        return tuple(int(i) for i in np.unravel_index(block, self.blocks_shape))

    def block_id(self, index: tuple[int, ...]) -> int:
        """Id of the block at a position."""
        return int(np.ravel_multi_index(index, self.blocks_shape))

    def block_box(self, block: int) -> Box:
        """The voxels of a block."""
        return tuple(self.span(axis, i) for axis, i in enumerate(self.index(block)))

    def span(self, axis: int, i: int) -> slice:
        """The voxels along an axis of the blocks at position ``i`` of it."""
        per, u, b = self._per_unit[axis], self.unit[axis], self.block[axis]
        start = (i // per) * u + (i % per) * b
        return slice(start, min(start + b, (i // per + 1) * u, self.shape[axis]))

    def unit_box(self, unit: int) -> Box:
        """The voxels of a unit."""
        position = np.unravel_index(unit, self.units_shape)
        return tuple(
            slice(int(i) * u, min((int(i) + 1) * u, n)) for i, u, n in zip(position, self.unit, self.shape, strict=True)
        )

    def blocks_of_unit(self, unit: int) -> Iterator[int]:
        """Ids of the blocks that tile a unit."""
        position = np.unravel_index(unit, self.units_shape)
        ranges = [
            range(int(i) * per, min((int(i) + 1) * per, count))
            for i, per, count in zip(position, self._per_unit, self.blocks_shape, strict=True)
        ]
        for index in product(*ranges):
            yield self.block_id(index)

    def halo_box(self, box: Box, halo: tuple[int, ...]) -> Box:
        """A box with a halo, cut at the volume's edges."""
        return tuple(
            slice(max(0, part.start - h), min(n, part.stop + h))
            for part, h, n in zip(box, halo, self.shape, strict=True)
        )

    def neighbours(self, block: int) -> Iterator[tuple[tuple[int, ...], int]]:
        """Neighbours behind a block in raster order, across faces, edges and corners.

        Yields
        ------
        direction : tuple of int
            -1, 0 or 1 an axis; the first that is not 0 is 1, so that every pair of blocks comes once.
        neighbour : int
            The neighbour's id.
        """
        index = self.index(block)
        for direction in product((-1, 0, 1), repeat=len(index)):
            if next((d for d in direction if d), 0) != 1:
                continue
            other = tuple(i + d for i, d in zip(index, direction, strict=True))
            if all(0 <= i < n for i, n in zip(other, self.blocks_shape, strict=True)):
                yield direction, self.block_id(other)
