"""Second moments of objects: sums of products of coordinates, and what follows from them.

Sums are integers and exact. A block keeps them relative to its own corner, so that squares stay small;
when rows are merged, they are moved to the corner of the object's box. What is then left to subtract is
still exact, because it is done in integers too: with Python's where 64 bits would overflow. So the
tensor is rounded once, and is the same whatever the blocks.

Reference: ``skimage.measure.regionprops_table``: ``inertia_tensor``, ``inertia_tensor_eigvals``,
``axis_major_length``, ``axis_minor_length``, ``eccentricity``, ``orientation``.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from math import pi
from typing import Any

import numpy as np

__all__ = ["axes_lengths", "eccentricity", "eigenvalues", "inertia", "moved", "orientation", "products_type"]

Array = np.ndarray[Any, Any]

#: Sums of int64 that stay below do not overflow.
SAFE = 2.0**62


def products_type(ndim: int) -> list[tuple[str, str, tuple[int]]]:
    """Fields of a row: for each pair of axes (zz zy zx yy yx xx) a sum of products, ``high * 2**32 + low``."""
    pairs = ndim * (ndim + 1) // 2
    return [("products_high", "i8", (pairs,)), ("products_low", "i8", (pairs,))]


def moved(rows: Array, away: Array) -> tuple[Array, Array]:
    """Take sums of products relative to another point.

    Parameters
    ----------
    rows : ndarray of :func:`chunkwise.ops.moments.row_type`
        Of single blocks.
    away : ndarray of int64, shape (rows, ndim)
        From the other point to the rows' ``corner``.

    Returns
    -------
    high, low : ndarray of int64, shape (rows, pairs)
        Halves of the sums.
    """
    count = rows["count"]
    sums = rows["coordinates"] - rows["corner"] * count[:, None]
    high, low = rows["products_high"], rows["products_low"]
    reach = np.abs(away.astype(np.float64)) + (rows["last"] - rows["corner"])
    if len(rows) and float((count * (reach**2).max(axis=1)).max()) >= SAFE:
        count, sums, away, high, low = (part.astype(object) for part in (count, sums, away, high, low))
    total = high * 2**32 + low
    for pair, (a, b) in enumerate(_pairs(away.shape[1])):
        total[:, pair] += away[:, a] * sums[:, b] + away[:, b] * sums[:, a] + count * away[:, a] * away[:, b]
    return (total >> 32).astype(np.int64), (total & 0xFFFFFFFF).astype(np.int64)


def inertia(rows: Array) -> Array:
    """Inertia tensors of objects around their centroids, for each voxel.

    Parameters
    ----------
    rows : ndarray of :func:`chunkwise.ops.moments.row_type`
        Merged, one an object.

    Returns
    -------
    ndarray of float64, shape (rows, ndim, ndim)
    """
    ndim = rows["first"].shape[1]
    spread = _spread(rows)
    tensors = np.empty((len(rows), ndim, ndim))
    squares = sum(spread[:, pair] for pair, (a, b) in enumerate(_pairs(ndim)) if a == b)
    for pair, (a, b) in enumerate(_pairs(ndim)):
        # Around an axis counts what lies away from it along the others.
        tensors[:, a, b] = tensors[:, b, a] = squares - spread[:, pair] if a == b else -spread[:, pair]
    return tensors


def _spread(rows: Array) -> Array:
    """Mean products of the distances from the centroid, for each pair of axes."""
    ndim = rows["first"].shape[1]
    count = rows["count"]
    sums = rows["coordinates"] - rows["corner"] * count[:, None]
    high, low = rows["products_high"], rows["products_low"]
    found = np.empty(high.shape)
    extent = (rows["last"] - rows["corner"] + 1).max(axis=1, initial=1)
    small = (count.astype(np.float64) * extent) ** 2 < SAFE
    for pair, (a, b) in enumerate(_pairs(ndim)):
        n = count[small]
        whole = n * ((high[small, pair] << 32) + low[small, pair]) - sums[small, a] * sums[small, b]
        found[small, pair] = whole / (n * n)
        for row in np.flatnonzero(~small):
            size = int(count[row])
            total = int(high[row, pair]) * 2**32 + int(low[row, pair])
            found[row, pair] = (size * total - int(sums[row, a]) * int(sums[row, b])) / (size * size)
    return found


def eigenvalues(tensors: Array) -> Array:
    """Eigenvalues of inertia tensors, the largest first; shape (rows, ndim). None is below 0."""
    return np.asarray(np.clip(np.linalg.eigvalsh(tensors)[:, ::-1], 0, None))


def axes_lengths(values: Array) -> tuple[Array, Array]:
    """Longest and shortest axis of the ellipse or ellipsoid with these eigenvalues of the inertia tensor."""
    if values.shape[1] == 2:
        return 4 * np.sqrt(values[:, 0]), 4 * np.sqrt(values[:, 1])
    first, second, third = values.T
    longest, shortest = 10 * (first + second - third), 10 * (-first + second + third)
    return np.sqrt(np.maximum(longest, 0)), np.sqrt(np.maximum(shortest, 0))


def eccentricity(values: Array) -> Array:
    """Eccentricity of ellipses with these eigenvalues; 0 for a single pixel."""
    largest = np.where(values[:, 0] == 0, 1, values[:, 0])
    return np.where(values[:, 0] == 0, 0.0, np.sqrt(1 - values[:, 1] / largest))


def orientation(tensors: Array) -> Array:
    """Angle between the first axis and the longest axis of 2-D objects, in radians; pi/4 or -pi/4 for round ones."""
    a, b, c = tensors[:, 0, 0], tensors[:, 0, 1], tensors[:, 1, 1]
    round_ones = np.where(b < 0, pi / 4, -pi / 4)
    return np.where(a == c, round_ones, 0.5 * np.arctan2(-2 * b, c - a))


def _pairs(ndim: int) -> list[tuple[int, int]]:
    return list(combinations_with_replacement(range(ndim), 2))
