"""The volume that thresholds and masks are taken from: one block of it, smoothed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.grid import Box
from chunkwise.blocks.halo import Rims, reading_cost
from chunkwise.blocks.passes import BlockResult, Executor, Workers, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ops.gaussian import gaussian, radius, smoothed_counts, smoothed_mask
from chunkwise.ops.volumes import BlockedVolumes
from chunkwise.storage.arrays import open_array

__all__ = ["SmoothedVolumes"]

Array = np.ndarray[Any, Any]

#: Rims cost a pass over the image; from this many times as many chunks read, they pay.
WORTH_RIMS = 1.8


@dataclass(frozen=True)
class SmoothedVolumes(BlockedVolumes):
    """The volumes of a cut, smoothed, block by block."""

    sigma: float
    rims: Rims | None = None

    def blocks_by_volume(self) -> list[range]:
        """The numbers of each volume's blocks."""
        count = self.grid.n_blocks
        return [range(volume * count, (volume + 1) * count) for volume in range(self.source.volumes)]

    def read(self, number: int) -> Array:
        """Read a block with the halo that smoothing needs, smooth it, and cut the halo off."""
        voxels, inner = self._with_halo(number)
        return gaussian(voxels, self.sigma, inner)

    def counts(self, number: int) -> Array:
        """Count the smoothed values of a block of 8 or 16 bit integers: every value of the type, the smallest first."""
        voxels, inner = self._with_halo(number)
        return smoothed_counts(voxels, self.sigma, inner)

    def mask(self, number: int, threshold: Any, dark: bool) -> Array:
        """Compare a smoothed block with a threshold: ``> threshold``, or for dark objects ``<= threshold``."""
        voxels, inner = self._with_halo(number)
        return smoothed_mask(voxels, self.sigma, threshold, dark, inner)

    def _with_halo(self, number: int) -> tuple[Array, Box]:
        """The voxels of a block and its halo, and where in them the block lies."""
        volume, block = self.place(number)
        box = self.grid.block_box(block)
        if self.rims is not None:
            voxels, outer = self.rims.read(number, lambda part: self.source.read(volume, part))
        else:
            outer = self.grid.halo_box(box, (radius(self.sigma),) * len(box))
            voxels = self.source.read(volume, outer)
        return voxels, inside(box, outer)

    def with_rims(self, executor: Executor, run: Run, workers: Workers) -> SmoothedVolumes:
        """Let blocks take their halos from their neighbours' rims, where that reads much less."""
        reach = radius(self.sigma)
        chunks = tuple(
            size
            for axis, size in zip(self.source.axes, open_array(self.source.array).chunks, strict=True)
            if axis in "zyx"
        )
        if reading_cost(self.grid, reach, chunks, self.source.origin) < WORTH_RIMS or not Rims.possible(
            self.grid, reach
        ):
            return self
        rims = Rims(run.folder, self.grid, reach, self.source.dtype)
        work = replace(self, rims=rims)
        map_pass(
            executor,
            run,
            "rims",
            _write_rims,
            work,
            self.n_blocks,
            voxels=self.voxels,
            workers=workers,
            grid=self.grid,
        )
        return work


def _write_rims(volumes: SmoothedVolumes, number: int) -> BlockResult:
    assert volumes.rims is not None
    volume, block = volumes.place(number)
    return BlockResult((volumes.rims.write(number, volumes.source.read(volume, volumes.grid.block_box(block))),))
