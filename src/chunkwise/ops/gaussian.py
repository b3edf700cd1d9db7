"""Gaussian smoothing, equal to ``scipy.ndimage.gaussian_filter`` to the bit.

SciPy filters one axis after the other. Along each it adds, in float64, the centre and then the
pairs of neighbours from the outermost inwards, and casts to the array's own dtype (truncating,
for integers) before the next axis. The same sums in the same order give the same bits.

Here all axes of one plane are filtered before the next plane begins, in buffers that stay in the
processor's cache; whoever needs only a histogram or a mask gets it without the smoothed volume
ever being written to memory.

Reference: ``scipy.ndimage.gaussian_filter(volume, sigma)``, mode ``reflect``, truncate 4.
"""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

__all__ = ["Box", "gaussian", "radius", "smoothed_counts", "smoothed_mask"]

Array = np.ndarray[Any, Any]
Box = tuple[slice, ...]

#: SciPy's default: the kernel ends at this many standard deviations.
TRUNCATE = 4.0


def radius(sigma: float) -> int:
    """How far the kernel reaches: the halo that a block needs, in voxels."""
    return int(TRUNCATE * float(sigma) + 0.5) if sigma > 0 else 0


def gaussian(volume: Array, sigma: float, inner: Box | None = None) -> Array:
    """Smooth a volume, or a block with its halo.

    Parameters
    ----------
    volume : ndarray
        Of an integer type, float32 or float64; 2-D or 3-D. A block with a halo of :func:`radius`
        voxels, cut at the volume's edges, gives the whole volume's values inside the halo.
    sigma : float
        Standard deviation in voxels, the same along every axis; 0 returns the voxels themselves.
    inner : tuple of slice, optional
        The part to return; the whole volume without it.

    Returns
    -------
    ndarray
        Of the volume's dtype.
    """
    inner = _whole(volume, inner)
    # SciPy skips a filter whose sigma is this close to none.
    if sigma <= 1e-15:
        return volume[inner]
    solid, box = _solid(volume, inner)
    out = np.empty(tuple(part.stop - part.start for part in box), volume.dtype)
    _store(solid, _bounds(box), _weights(sigma), volume.ndim == 3, out)
    return out.reshape(tuple(part.stop - part.start for part in inner))


def smoothed_counts(volume: Array, sigma: float, inner: Box | None = None) -> Array:
    """Count the values of a smoothed block of 8 or 16 bit integers.

    Returns
    -------
    ndarray of int64
        Of every value that the dtype has, the smallest first.
    """
    info = np.iinfo(volume.dtype)
    counts = np.zeros(int(info.max) - int(info.min) + 1, np.int64)
    solid, box = _solid(volume, _whole(volume, inner))
    _count(solid, _bounds(box), _weights(sigma), volume.ndim == 3, sigma > 1e-15, int(info.min), counts)
    return counts


def smoothed_mask(volume: Array, sigma: float, threshold: Any, dark: bool = False, inner: Box | None = None) -> Array:
    """Compare a smoothed block with a threshold.

    Parameters
    ----------
    threshold : number or numpy scalar
        Compared as NumPy compares it with an array of the volume's dtype.
    dark : bool
        Whether the mask is ``<= threshold`` instead of ``> threshold``.

    Returns
    -------
    ndarray of bool
    """
    inner = _whole(volume, inner)
    solid, box = _solid(volume, inner)
    out = np.empty(tuple(part.stop - part.start for part in box), np.bool_)
    limit = _comparable(threshold, volume.dtype)
    _compare(solid, _bounds(box), _weights(sigma), volume.ndim == 3, sigma > 1e-15, limit, dark, out)
    return out.reshape(tuple(part.stop - part.start for part in inner))


def _comparable(threshold: Any, dtype: np.dtype[Any]) -> Any:
    """A threshold in a type in which the comparison is exact and means what it means in NumPy."""
    if dtype.kind in "iu":
        if math.isinf(threshold):
            return np.float64(threshold)
        # No integer lies between a number and its floor, so both ask the same.
        whole, info = math.floor(threshold), np.iinfo(dtype)
        if whole < info.min:
            return np.float64(-np.inf)
        return dtype.type(min(whole, int(info.max)))
    if dtype == np.float32 and not isinstance(threshold, np.float64):
        # NumPy compares a float32 array with a Python number in float32.
        return np.float32(threshold)
    return np.float64(threshold)


def _whole(volume: Array, inner: Box | None) -> Box:
    return tuple(slice(0, size) for size in volume.shape) if inner is None else inner


def _solid(volume: Array, inner: Box) -> tuple[Array, Box]:
    """A volume as (planes, rows, columns): the rows of a 2-D one are its planes, of one row each."""
    volume = np.ascontiguousarray(volume)
    if volume.ndim == 3:
        return volume, inner
    return volume[:, np.newaxis, :], (inner[0], slice(0, 1), inner[1])


def _bounds(box: Box) -> tuple[int, ...]:
    return tuple(int(edge) for part in box for edge in (part.start, part.stop))


def _weights(sigma: float) -> Array:
    """The right half of the kernel, centre first; computed as SciPy does."""
    if sigma <= 1e-15:
        return np.ones(1)
    reach = radius(sigma)
    x = np.arange(-reach, reach + 1)
    phi = np.exp(-0.5 / (float(sigma) * float(sigma)) * x**2)
    phi = phi / phi.sum()
    return np.ascontiguousarray(phi[reach:])


@numba.njit(cache=True, inline="always")
def _reflect(i, n):
    """Index of position ``i`` in a line of ``n`` that goes on mirrored at its edges (d c b a | a b c d | d c b a)."""
    if 0 <= i < n:
        return i
    i = i % (2 * n)
    return i if i < n else 2 * n - 1 - i


@numba.njit(cache=True, inline="always")
def _add_pair(total, n, low, high, w):
    """Add one pair of neighbours to every sum of a row."""
    for x in range(n):
        total[x] += (np.float64(low[x]) + np.float64(high[x])) * w


@numba.njit(cache=True, inline="always")
def _add_pairs(total, n, low3, high3, w3, low2, high2, w2, low1, high1, w1, low0, high0, w0):
    """Add four pairs, the outermost first, to every sum of a row: in SciPy's order, but loaded and stored once."""
    for x in range(n):
        s = total[x] + (np.float64(low3[x]) + np.float64(high3[x])) * w3
        s = s + (np.float64(low2[x]) + np.float64(high2[x])) * w2
        s = s + (np.float64(low1[x]) + np.float64(high1[x])) * w1
        total[x] = s + (np.float64(low0[x]) + np.float64(high0[x])) * w0


@numba.njit(cache=True, inline="always")
def _sum_rows(rows, p, y, width, weights, total):
    """Sum along the first axis of ``rows`` around ``p``, for every voxel of row ``y``, which lies contiguously."""
    n = rows.shape[0]
    centre = rows[p, y]
    for x in range(width):
        total[x] = np.float64(centre[x]) * weights[0]
    k = len(weights) - 1
    while k >= 4:
        _add_pairs(
            total,
            width,
            rows[_reflect(p - k, n), y],
            rows[_reflect(p + k, n), y],
            weights[k],
            rows[_reflect(p - k + 1, n), y],
            rows[_reflect(p + k - 1, n), y],
            weights[k - 1],
            rows[_reflect(p - k + 2, n), y],
            rows[_reflect(p + k - 2, n), y],
            weights[k - 2],
            rows[_reflect(p - k + 3, n), y],
            rows[_reflect(p + k - 3, n), y],
            weights[k - 3],
        )
        k -= 4
    while k > 0:
        _add_pair(total, width, rows[_reflect(p - k, n), y], rows[_reflect(p + k, n), y], weights[k])
        k -= 1


@numba.njit(cache=True, inline="always")
def _sum_line(line, begin, width, weights, total):
    """Sum along a line, for the ``width`` positions from ``begin``; the line goes on as far as the weights reach."""
    for x in range(width):
        total[x] = line[begin + x] * weights[0]
    k = len(weights) - 1
    while k >= 4:
        _add_pairs(
            total,
            width,
            line[begin - k :],
            line[begin + k :],
            weights[k],
            line[begin - k + 1 :],
            line[begin + k - 1 :],
            weights[k - 1],
            line[begin - k + 2 :],
            line[begin + k - 2 :],
            weights[k - 2],
            line[begin - k + 3 :],
            line[begin + k - 3 :],
            weights[k - 3],
        )
        k -= 4
    while k > 0:
        _add_pair(total, width, line[begin - k :], line[begin + k :], weights[k])
        k -= 1


@numba.njit(cache=True, nogil=True)
def _plane(source, p, bounds, weights, solid, across, along, line, total, out):
    """Smooth one plane: across planes into ``across``, along columns into ``along``, along rows into ``out``."""
    _, ny, nx = source.shape
    _, _, y0, y1, x0, x1 = bounds
    reach = len(weights) - 1
    for y in range(ny):
        _sum_rows(source, p, y, nx, weights, total)
        row = across[y, 0]
        for x in range(nx):
            row[x] = total[x]
    for y in range(y0, y1):
        if solid:
            _sum_rows(across, y, 0, nx, weights, total)
            for x in range(nx):
                along[x] = total[x]
        else:
            for x in range(nx):
                along[x] = across[y, 0, x]
        for x in range(nx):
            line[reach + x] = along[x]
        for k in range(reach):
            line[reach - 1 - k] = along[_reflect(-1 - k, nx)]
            line[reach + nx + k] = along[_reflect(nx + k, nx)]
        _sum_line(line, reach + x0, x1 - x0, weights, total)
        row = out[y - y0]
        for x in range(x1 - x0):
            row[x] = total[x]


@numba.njit(cache=True, nogil=True)
def _store(source, bounds, weights, solid, out):
    z0, z1, _, _, _, _ = bounds
    _, ny, nx = source.shape
    across, along = np.empty((ny, 1, nx), source.dtype), np.empty(nx, source.dtype)
    line, total = np.empty(nx + 2 * len(weights), np.float64), np.empty(nx, np.float64)
    for p in range(z0, z1):
        _plane(source, p, bounds, weights, solid, across, along, line, total, out[p - z0])


@numba.njit(cache=True, nogil=True)
def _count(source, bounds, weights, solid, smooth, low, counts):
    z0, z1, y0, y1, x0, x1 = bounds
    _, ny, nx = source.shape
    across, along = np.empty((ny, 1, nx), source.dtype), np.empty(nx, source.dtype)
    line, total = np.empty(nx + 2 * len(weights), np.float64), np.empty(nx, np.float64)
    out = np.empty((y1 - y0, x1 - x0), source.dtype)
    for p in range(z0, z1):
        if smooth:
            _plane(source, p, bounds, weights, solid, across, along, line, total, out)
        else:
            out[:, :] = source[p, y0:y1, x0:x1]
        for y in range(y1 - y0):
            for x in range(x1 - x0):
                counts[np.int64(out[y, x]) - low] += 1


@numba.njit(cache=True, nogil=True)
def _compare(source, bounds, weights, solid, smooth, threshold, dark, mask):
    z0, z1, y0, y1, x0, x1 = bounds
    _, ny, nx = source.shape
    across, along = np.empty((ny, 1, nx), source.dtype), np.empty(nx, source.dtype)
    line, total = np.empty(nx + 2 * len(weights), np.float64), np.empty(nx, np.float64)
    out = np.empty((y1 - y0, x1 - x0), source.dtype)
    for p in range(z0, z1):
        if smooth:
            _plane(source, p, bounds, weights, solid, across, along, line, total, out)
        else:
            out[:, :] = source[p, y0:y1, x0:x1]
        for y in range(y1 - y0):
            for x in range(x1 - x0):
                # Not the negation of each other where a voxel is not a number.
                mask[p - z0, y, x] = out[y, x] <= threshold if dark else out[y, x] > threshold
