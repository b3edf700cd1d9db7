"""The volumes that an operation goes through, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from chunkwise.blocks.grid import Grid
from chunkwise.ngff.volumes import VolumeSource

__all__ = ["BlockedVolumes"]


@dataclass(frozen=True)
class BlockedVolumes:
    """The volumes of a cut, each parted by the same grid.

    Blocks of all volumes are numbered through: ``volume * grid.n_blocks + block``.
    """

    source: VolumeSource
    grid: Grid

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
