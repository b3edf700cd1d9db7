"""Sizes of very many objects, counted in little memory, and their histogram."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isqrt, log10
from typing import Any

import numpy as np

__all__ = ["Histogram", "Sizes"]

Array = np.ndarray[Any, Any]

#: Different sizes that are told apart; beyond, they are rounded down to ``DIGITS`` binary digits.
MOST = 2**18
DIGITS = 12

#: Bars that a histogram of very many objects has at about; one of few has less.
MOST_BARS = 24
#: Sizes beyond so many times the 95th percentile are put together in the last bar.
FAR = 3


class Sizes:
    """How many objects have each number of voxels: exact, unless there are very many different numbers."""

    def __init__(self) -> None:
        self.values: Array = np.empty(0, np.int64)
        """Sorted, each once."""
        self.counts: Array = np.empty(0, np.int64)
        self.total = self.voxels = 0
        self.smallest = self.largest = 0
        self.rounded = False
        """Whether ``values`` are rounded down, by less than one part in two thousand."""

    def add(self, values: Array, counts: Array | None = None) -> None:
        """Count objects of these sizes, each ``counts`` times."""
        if not len(values):
            return
        values = np.asarray(values, np.int64)
        counts = np.ones(len(values), np.int64) if counts is None else counts
        self.smallest = min(int(values.min()), self.smallest) if self.total else int(values.min())
        self.largest = max(int(values.max()), self.largest)
        self.total += int(counts.sum())
        self.voxels += sum((values.astype(object) * counts).tolist()) if values.max() > 2**40 else int(values @ counts)
        self._merge(values, counts)
        if len(self.values) > MOST and not self.rounded:
            self.rounded = True
            self._merge(np.empty(0, np.int64), np.empty(0, np.int64))

    def _merge(self, values: Array, counts: Array) -> None:
        together = np.concatenate([self.values, values])
        if self.rounded:
            shift = np.maximum(np.frexp(together.astype(np.float64))[1] - DIGITS, 0)
            together = together >> shift << shift
        self.values, place = np.unique(together, return_inverse=True)
        summed = np.zeros(len(self.values), np.int64)
        np.add.at(summed, place, np.concatenate([self.counts, counts]))
        self.counts = summed

    def join(self, other: Sizes) -> None:
        """Count all that another has counted."""
        if other.total:
            smallest, largest, voxels = other.smallest, other.largest, self.voxels + other.voxels
            self.rounded |= other.rounded
            self.add(other.values, other.counts)
            # What was rounded there is known better.
            self.smallest, self.largest, self.voxels = min(self.smallest, smallest), max(self.largest, largest), voxels

    @property
    def mean(self) -> float:
        """Of one object or more."""
        return self.voxels / self.total

    @property
    def median(self) -> float:
        """As ``numpy.median`` has it; of one object or more."""
        return (self.at((self.total - 1) // 2) + self.at(self.total // 2)) / 2

    def at(self, rank: int) -> int:
        """The size of the object that has this rank, from 0, when they are sorted."""
        return int(self.values[np.searchsorted(np.cumsum(self.counts), rank, side="right")])


@dataclass(frozen=True)
class Histogram:
    """Objects by size; a bar holds the sizes from its left edge up to, but not including, the right one."""

    edges: Sequence[float]
    counts: Sequence[int]
    beyond: int
    """Objects of the last edge's size or more."""

    @classmethod
    def of(cls, sizes: Sizes, voxel: float) -> Histogram:
        """Choose edges that are round numbers, and count.

        Parameters
        ----------
        sizes : Sizes
            Of one object or more.
        voxel : float
            Size of a voxel, in the unit of the edges.
        """
        usual = sizes.at((sizes.total * 95) // 100) * voxel
        top = sizes.largest * voxel
        if top > FAR * usual:
            top = usual * 1.5
        low = sizes.smallest * voxel
        step = round_step(max((top - low) / min(MOST_BARS, max(5, 2 * isqrt(sizes.total))), voxel))
        if step < 8 * voxel:  # as many voxels in each bar, so that none is higher for having more sizes in it
            many = ceil(step / voxel - 1e-9)
            first, last = sizes.smallest // many, floor(top / voxel + 1e-9) // many + 1
            edges = [number * many * voxel for number in range(first, last + 1)]
        else:
            edges = [number * step for number in range(floor(low / step), floor(top / step) + 2)]
        place = np.searchsorted(edges, sizes.values * voxel, side="right") - 1
        counts = np.zeros(len(edges), np.int64)
        np.add.at(counts, np.maximum(place, 0), sizes.counts)
        return cls(edges, counts[:-1].tolist(), int(counts[-1]))


def round_step(least: float) -> float:
    """The smallest of 1, 2, 2.5 or 5 times a power of ten that is not smaller."""
    if least <= 0:
        return 1.0
    power = 10.0 ** floor(log10(least))
    return next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= least * (1 - 1e-12))
