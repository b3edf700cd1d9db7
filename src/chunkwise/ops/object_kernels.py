"""Loops over the voxels of a block: which objects there are, and what is added up of each.

``index`` is always the number of each voxel's object, -1 for background, as :func:`number_objects` gives it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise import _kernels

__all__ = ["extremes", "first_met", "number_objects", "places", "squares", "sums", "weighted"]

Array = np.ndarray[Any, Any]


def number_objects(labels: Array) -> tuple[Array, Array]:
    """Number the objects of an array from 0, in the order in which they come.

    Parameters
    ----------
    labels : ndarray
        Of an integer type, 2-D or 3-D; what is not above 0 is background.

    Returns
    -------
    index : ndarray of int32, 3-D
        The number of each voxel's object, -1 for background. A plane is a volume of one slice, so that one
        kernel serves both.
    found : ndarray of uint64
        The label of each number.
    """
    index = np.empty((1,) * (3 - labels.ndim) + labels.shape, np.int32)
    found = _kernels.number_objects(np.ascontiguousarray(labels).reshape(-1), index.reshape(-1))
    return index, found


def first_met(index: Array, size: int) -> Array:
    """Find where each object is first met; they are numbered in that order."""
    firsts = np.empty(size, np.int64)
    _kernels.first_met(index, firsts)
    return firsts


def places(index: Array, size: int, second: bool) -> tuple[Array, Array, Array, Array, Array]:
    """Voxels, sums of coordinates, first and last coordinates of each object; if asked for, sums of products, too."""
    count = np.zeros(size, np.int64)
    sums = np.zeros((size, 3), np.int64)
    first = np.full((size, 3), np.iinfo(np.int64).max)
    last = np.full((size, 3), -1)
    products = np.zeros((size if second else 0, 6), np.int64)
    _kernels.places(index, count, sums, first, last, products)
    return count, sums, first, last, products


def weighted(index: Array, voxels: Array, size: int) -> Array:
    """Sums of coordinates times intensity; exact while they are integers below 2**53."""
    sums = np.zeros((size, 3))
    _kernels.weighted(index, voxels, sums)
    return sums


def sums(index: Array, voxels: Array, total: Array) -> Array:
    """Add intensities to what ``total`` holds of each object."""
    _kernels.sums(index, voxels, total)
    return total


def extremes(index: Array, voxels: Array, size: int) -> tuple[Array, Array]:
    """Smallest and largest intensity; nan where there is one, as in NumPy."""
    lowest, highest = np.empty((2, size), voxels.dtype)
    _kernels.extremes(index, voxels, lowest, highest)
    return lowest, highest


def squares(index: Array, voxels: Array, means: Array) -> tuple[Array, Array]:
    """Sums of squared distances from the means, and of the distances: what rounding left in the means."""
    squares, rest = np.zeros((2, len(means)))
    _kernels.squares(index, voxels, means, squares, rest)
    return squares, rest
