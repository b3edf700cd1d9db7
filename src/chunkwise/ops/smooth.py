"""The volume that thresholds and masks are taken from: one block of it, smoothed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.ops.gaussian import gaussian, radius, smoothed_counts, smoothed_mask
from chunkwise.ops.volumes import HaloedVolumes

__all__ = ["SmoothedVolumes"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class SmoothedVolumes(HaloedVolumes):
    """The volumes of a cut, smoothed, block by block."""

    sigma: float | tuple[float, ...]
    """In voxels: one number for all axes, or one for each."""

    @property
    def reach(self) -> tuple[int, ...]:
        """Thickness of the halo that smoothing needs."""
        sigma = self.sigma if isinstance(self.sigma, tuple) else (self.sigma,) * len(self.grid.shape)
        return tuple(radius(one) for one in sigma)

    def read(self, number: int) -> Array:
        """Read a block with the halo that smoothing needs, smooth it, and cut the halo off."""
        voxels, inner = self.with_halo(number)
        return gaussian(voxels, self.sigma, inner)

    def counts(self, number: int) -> Array:
        """Count the smoothed values of a block of 8 or 16 bit integers: every value of the type, the smallest first."""
        voxels, inner = self.with_halo(number)
        return smoothed_counts(voxels, self.sigma, inner)

    def mask(self, number: int, threshold: Any, dark: bool) -> Array:
        """Compare a smoothed block with a threshold: ``> threshold``, or for dark objects ``<= threshold``."""
        voxels, inner = self.with_halo(number)
        return smoothed_mask(voxels, self.sigma, threshold, dark, inner)
