"""Loops over the voxels of a block: which objects there are, and what is added up of each.

``index`` is always the number of each voxel's object, -1 for background, as :func:`number_objects` gives it.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

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
    index, found = _number(np.ascontiguousarray(labels).reshape(-1))
    return index.reshape((1,) * (3 - labels.ndim) + labels.shape), found


@numba.njit(cache=True, nogil=True)
def _slot(keys, places, value):
    """Where a label is, or would be, in the table of labels; its size is a power of two."""
    mask = np.uint64(len(keys) - 1)
    spread = value * np.uint64(0x9E3779B97F4A7C15)
    place = (spread ^ (spread >> np.uint64(32))) & mask
    while places[place] >= 0 and keys[place] != value:
        place = (place + np.uint64(1)) & mask
    return place


@numba.njit(cache=True, nogil=True)
def _number(labels):
    """Number the labels of a block from 0 in the order in which they come; -1 is background."""
    index = np.empty(len(labels), np.int32)
    found = np.empty(1024, np.uint64)
    keys = np.zeros(4096, np.uint64)
    places = np.full(4096, -1, np.int32)
    count = 0
    before = labels[0]
    number = -2
    for i in range(len(labels)):
        label = labels[i]
        # Voxels of an object lie side by side: most of them need no look at the table.
        if number != -2 and label == before:
            index[i] = number
            continue
        before = label
        if label <= 0:
            number = -1
        else:
            value = np.uint64(label)
            place = _slot(keys, places, value)
            if places[place] < 0:
                if count == len(found):
                    larger = np.empty(2 * count, np.uint64)
                    larger[:count] = found
                    found = larger
                    keys = np.zeros(8 * count, np.uint64)
                    places = np.full(8 * count, -1, np.int32)
                    for k in range(count):
                        moved = _slot(keys, places, found[k])
                        keys[moved] = found[k]
                        places[moved] = k
                    place = _slot(keys, places, value)
                keys[place] = value
                places[place] = count
                found[count] = value
                count += 1
            number = places[place]
        index[i] = number
    return index, found[:count].copy()


@numba.njit(cache=True, nogil=True)
def first_met(index: Array, size: int) -> Array:
    """Find where each object is first met; they are numbered in that order."""
    firsts = np.empty(size, np.int64)
    met = 0
    for i in range(len(index)):
        if index[i] == met:
            firsts[met] = i
            met += 1
    return firsts


@numba.njit(cache=True, nogil=True)
def places(index: Array, size: int, second: bool) -> tuple[Array, Array, Array, Array, Array]:
    """Voxels, sums of coordinates, first and last coordinates of each object; if asked for, sums of products, too."""
    count = np.zeros(size, np.int64)
    sums = np.zeros((size, 3), np.int64)
    first = np.full((size, 3), np.iinfo(np.int64).max)
    last = np.full((size, 3), -1)
    products = np.zeros((size if second else 0, 6), np.int64)
    for z in range(index.shape[0]):
        for y in range(index.shape[1]):
            x = 0
            while x < index.shape[2]:
                k = index[z, y, x]
                begin = x
                x += 1
                # Voxels of an object lie side by side: a run is taken at once.
                while x < index.shape[2] and index[z, y, x] == k:
                    x += 1
                if k < 0:
                    continue
                n = x - begin
                along = (begin + x - 1) * n // 2
                count[k] += n
                sums[k, 0] += z * n
                sums[k, 1] += y * n
                sums[k, 2] += along
                first[k, 0] = min(first[k, 0], z)
                first[k, 1] = min(first[k, 1], y)
                first[k, 2] = min(first[k, 2], begin)
                last[k, 0] = max(last[k, 0], z)
                last[k, 1] = max(last[k, 1], y)
                last[k, 2] = max(last[k, 2], x - 1)
                if second:
                    products[k, 0] += z * z * n
                    products[k, 1] += z * y * n
                    products[k, 2] += z * along
                    products[k, 3] += y * y * n
                    products[k, 4] += y * along
                    # Squares up to x - 1, less those before the run.
                    products[k, 5] += ((x - 1) * x * (2 * x - 1) - (begin - 1) * begin * (2 * begin - 1)) // 6
    return count, sums, first, last, products


@numba.njit(cache=True, nogil=True)
def weighted(index: Array, voxels: Array, size: int) -> Array:
    """Sums of coordinates times intensity; exact while they are integers below 2**53."""
    sums = np.zeros((size, 3))
    for z in range(index.shape[0]):
        for y in range(index.shape[1]):
            x = 0
            while x < index.shape[2]:
                k = index[z, y, x]
                if k < 0:
                    x += 1
                    continue
                total = along = 0.0
                while x < index.shape[2] and index[z, y, x] == k:
                    value = np.float64(voxels[z, y, x])
                    total += value
                    along += value * x
                    x += 1
                sums[k, 0] += z * total
                sums[k, 1] += y * total
                sums[k, 2] += along
    return sums


@numba.njit(cache=True, nogil=True)
def sums(index: Array, voxels: Array, total: Array) -> Array:
    """Add intensities to what ``total`` holds of each object."""
    for i in range(len(index)):
        if index[i] >= 0:
            total[index[i]] += voxels[i]
    return total


@numba.njit(cache=True, nogil=True)
def extremes(index: Array, voxels: Array, size: int) -> tuple[Array, Array]:
    """Smallest and largest intensity; nan where there is one, as in NumPy."""
    lowest = np.empty(size, voxels.dtype)
    highest = np.empty(size, voxels.dtype)
    seen = np.zeros(size, np.bool_)
    for i in range(len(index)):
        k = index[i]
        if k < 0:
            continue
        value = voxels[i]
        if not seen[k]:
            seen[k] = True
            lowest[k] = value
            highest[k] = value
        else:
            if value < lowest[k] or value != value:
                lowest[k] = value
            if value > highest[k] or value != value:
                highest[k] = value
    return lowest, highest


@numba.njit(cache=True, nogil=True)
def squares(index: Array, voxels: Array, means: Array) -> tuple[Array, Array]:
    """Sums of squared distances from the means, and of the distances: what rounding left in the means."""
    squares = np.zeros(len(means))
    rest = np.zeros(len(means))
    for i in range(len(index)):
        k = index[i]
        if k >= 0:
            distance = np.float64(voxels[i]) - means[k]
            squares[k] += distance * distance
            rest[k] += distance
    return squares, rest
