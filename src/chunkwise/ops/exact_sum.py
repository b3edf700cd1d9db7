"""Sums of floats that do not depend on the order, nor on how the voxels were parted into blocks.

A float is an integer times a power of two. For every power the integers are added as integers, which
is exact; the one rounding comes at the end, when the mean is asked for. So the mean of a volume is
the correctly rounded one, whatever the blocks, the workers and the order in which they finish.

The idea is the long accumulator: Kulisch and Miranker, "The arithmetic of the digital computer: a
new approach", SIAM Review 28(1), 1986. doi:10.1137/1028001
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np

from chunkwise import _kernels

__all__ = ["ExactSum", "exact_sum"]

Array = np.ndarray[Any, Any]

#: A double's significand is kept as a high and a low part of this many bits, so that int64 holds 2**36 of them.
LOW_BITS = 26
EXPONENTS = 2048
#: The smallest double is 2**-1074.
SHIFT = 1074


@dataclass(frozen=True)
class ExactSum:
    """The exact sum of some floats.

    Attributes
    ----------
    count : int
        How many there are.
    parts : ndarray of int64, shape (2, 2048)
        Sums of the high and the low parts of the significands, by exponent.
    """

    count: int
    parts: Array

    def __add__(self, other: ExactSum) -> ExactSum:
        """Sum of both; associative and commutative without a rounding."""
        return ExactSum(self.count + other.count, self.parts + other.parts)

    def mean(self) -> float:
        """The correctly rounded mean; not a number if there is nothing, or something that is not finite."""
        if self.count == 0 or self.parts[:, EXPONENTS - 1].any():
            return float("nan")
        # Division of integers rounds once.
        return self._scaled() / (self.count << SHIFT)

    def total(self) -> Fraction:
        """The sum itself, unless something is not finite."""
        return Fraction(self._scaled(), 1 << SHIFT)

    def _scaled(self) -> int:
        """The sum as a multiple of the smallest double."""
        total = 0
        for exponent in np.flatnonzero(self.parts.any(axis=0)):
            high, low = (int(part) for part in self.parts[:, exponent])
            # Exponent 0 stands for the same power as 1.
            total += ((high << LOW_BITS) + low) << max(int(exponent) - 1, 0)
        return total


def exact_sum(values: Array) -> ExactSum:
    """Sum a block of numbers that float64 holds exactly.

    Parameters
    ----------
    values : ndarray
        Of any shape; float32, float64, or integers up to 2**53.
    """
    parts = np.zeros((2, EXPONENTS), np.int64)
    flat = np.ascontiguousarray(values, np.float64).ravel()
    _kernels.accumulate(flat.view(np.int64), parts)
    return ExactSum(flat.size, parts)
