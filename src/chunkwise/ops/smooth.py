"""The volume that thresholds and masks are taken from: one block of it, smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Box, Grid
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.gaussian import gaussian, radius

__all__ = ["SmoothedVolumes"]


@dataclass(frozen=True)
class SmoothedVolumes:
    """The volumes of a cut, smoothed, block by block.

    Blocks of all volumes are numbered through: ``volume * grid.n_blocks + block``.
    """

    source: VolumeSource
    grid: Grid
    sigma: float

    @property
    def n_blocks(self) -> int:
        """Blocks of all volumes."""
        return self.source.volumes * self.grid.n_blocks

    @property
    def voxels(self) -> int:
        """Voxels of all volumes."""
        return self.source.volumes * prod(self.grid.shape)

    def place(self, number: int) -> tuple[int, int]:
        """Volume and block that a number stands for."""
        return divmod(number, self.grid.n_blocks)

    def blocks_by_volume(self) -> list[range]:
        """The numbers of each volume's blocks."""
        count = self.grid.n_blocks
        return [range(volume * count, (volume + 1) * count) for volume in range(self.source.volumes)]

    def read(self, number: int) -> np.ndarray[Any, Any]:
        """Read a block with the halo that smoothing needs, smooth it, and cut the halo off."""
        volume, block = self.place(number)
        return self.read_box(volume, self.grid.block_box(block))

    def read_box(self, volume: int, box: Box) -> np.ndarray[Any, Any]:
        """The same for any box of a volume."""
        halo = (radius(self.sigma),) * len(box)
        outer = self.grid.halo_box(box, halo)
        smooth = gaussian(self.source.read(volume, outer), self.sigma)
        return smooth[tuple(slice(i.start - o.start, i.stop - o.start) for i, o in zip(box, outer, strict=True))]
