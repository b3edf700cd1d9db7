"""Volumes of masks: as they are, with their holes filled, and made by two thresholds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.ops.labelling import Labelling
from chunkwise.ops.local import LocalVolumes
from chunkwise.ops.volumes import BlockedVolumes

__all__ = ["FilledVolumes", "HysteresisVolumes", "MaskVolumes"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class MaskVolumes(BlockedVolumes):
    """The volumes of a mask."""

    def mask(self, number: int, threshold: Any, dark: bool) -> Array:
        """A block of it; there is nothing to compare."""
        volume, block = self.place(number)
        return self.read_box(volume, self.grid.block_box(block))


@dataclass(frozen=True)
class FilledVolumes(LocalVolumes):
    """Masks whose holes are filled: the enclosed ones, or with a value ``max_size`` those of at most so many voxels."""

    filled: Callable[[int], Array] | None = None
    """Gives a block with its holes filled."""

    def mask(self, number: int, threshold: Any, dark: bool) -> Array:
        """A block as it is."""
        return self.read(number)

    def prepared(self, job: Job) -> Self:
        """The same, with the holes found."""
        thresholds = [0] * self.n_volumes
        labelling = Labelling(self, thresholds, False, 1, job, self.planes, self.values.get("max_size"))
        labelling.find_holes()
        return replace(self, filled=labelling.filler())

    def compute(self, number: int) -> Array:
        """Fill the holes of a block."""
        assert self.filled is not None
        return self.filled(number)


@dataclass(frozen=True)
class HysteresisVolumes(FilledVolumes):
    """Images of which the components above a value ``low`` are kept that reach above a value ``high``.

    The others are the holes of what is not above ``low``.
    """

    def mask(self, number: int, threshold: Any, dark: bool) -> Array:
        """A block of what is not above ``low``."""
        # As scikit-image has it, which makes this one a NumPy number: float32 voxels are compared with all its digits.
        above: Array = self.read(number) > np.float64(self.values["low"])
        return ~above

    def lasting(self, number: int) -> Array:
        """Where in a block voxels lie whose component is no hole."""
        above: Array = self.read(number) > self.values["high"]
        return above

    def compute(self, number: int) -> Array:
        """Keep what is no hole of a block."""
        return ~super().compute(number)
