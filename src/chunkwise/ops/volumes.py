"""The volumes that an operation goes through, block by block."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Self

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.grid import Box, Grid
from chunkwise.blocks.halo import Rims, reading_cost
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.gaussian import smoothed_counts
from chunkwise.storage.arrays import open_array

__all__ = ["BlockedVolumes", "HaloedVolumes"]

Array = np.ndarray[Any, Any]

#: Rims cost a pass over the image; from this many times as many chunks read in one pass, they pay.
WORTH_RIMS = 1.8


@dataclass(frozen=True)
class BlockedVolumes:
    """The volumes of a cut, each parted by the same grid.

    Blocks of all volumes are numbered through: ``volume * grid.n_blocks + block``.
    """

    source: VolumeSource
    grid: Grid

    @property
    def n_volumes(self) -> int:
        """How many volumes there are."""
        return self.source.volumes

    @property
    def n_blocks(self) -> int:
        """Blocks of all volumes."""
        return self.n_volumes * self.grid.n_blocks

    @property
    def voxels(self) -> int:
        """Voxels of all volumes."""
        return self.n_volumes * prod(self.grid.shape)

    def blocks_by_volume(self) -> list[range]:
        """The numbers of each volume's blocks."""
        count = self.grid.n_blocks
        return [range(volume * count, (volume + 1) * count) for volume in range(self.n_volumes)]

    def place(self, number: int) -> tuple[int, int]:
        """Volume and block that a number stands for."""
        return divmod(number, self.grid.n_blocks)

    def read_box(self, volume: int, box: Box) -> Array:
        """Read a box of a volume."""
        return self.source.read(volume, box)

    def mask(self, number: int, threshold: Any, dark: bool) -> Array:
        """Compare a block with a threshold: ``> threshold``, or for dark objects ``<= threshold``."""
        raise NotImplementedError


@dataclass(frozen=True)
class HaloedVolumes(BlockedVolumes):
    """Volumes whose blocks are read with a halo."""

    rims: Rims | None = field(default=None, kw_only=True)

    @property
    def reach(self) -> tuple[int, ...]:
        """Thickness of the halo along each axis."""
        raise NotImplementedError

    def with_halo(self, number: int) -> tuple[Array, Box]:
        """The voxels of a block and its halo, cut at the volume's edges, and where in them the block lies."""
        volume, block = self.place(number)
        box = self.grid.block_box(block)
        if self.rims is not None:
            voxels, outer = self.rims.read(number, lambda part: self.read_box(volume, part))
        else:
            outer = self.grid.halo_box(box, self.reach)
            voxels = self.read_box(volume, outer)
        return voxels, inside(box, outer)

    def read(self, number: int) -> Array:
        """Read a block as it is, without its halo."""
        volume, block = self.place(number)
        return self.read_box(volume, self.grid.block_box(block))

    def counts(self, number: int) -> Array:
        """Count the values of a block of 8 or 16 bit integers: every value of the type, the smallest first."""
        return smoothed_counts(self.read(number), 0.0)

    def with_rims(self, job: Job, worth: float = WORTH_RIMS) -> Self:
        """Let blocks take their halos from their neighbours' rims, where that reads much less."""
        source = self.source
        sizes = zip(source.axes, open_array(source.array).chunks, strict=True)
        chunks = tuple(size for axis, size in sizes if axis in "zyx")
        cost = reading_cost(self.grid, self.reach, chunks, source.origin)
        if cost < worth or not Rims.possible(self.grid, self.reach):
            return self
        work = replace(self, rims=Rims(job.run.folder, self.grid, self.reach, source.dtype))
        map_pass(job, "rims", _write_rims, work, self.n_blocks, voxels=self.voxels, grid=self.grid)
        return work


def _write_rims(volumes: HaloedVolumes, number: int) -> BlockResult:
    assert volumes.rims is not None
    volume, block = volumes.place(number)
    return BlockResult((volumes.rims.write(number, volumes.read_box(volume, volumes.grid.block_box(block))),))
