"""Gaussian smoothing, equal to ``scipy.ndimage.gaussian_filter`` to the bit.

SciPy filters one axis after the other. Along each it adds, in float64, the centre and then the
pairs of neighbours from the outermost inwards, and casts to the array's own dtype (truncating,
for integers) before the next axis. The same sums in the same order give the same bits.

Here all axes of one plane are filtered before the next plane begins, in buffers that stay in the
processor's cache; whoever needs only a histogram or a mask gets it without the smoothed volume
ever being written to memory. The loops are in ``src/kernels/gaussian.cpp``.

Reference: ``scipy.ndimage.gaussian_filter(volume, sigma)``, mode ``reflect``, truncate 4.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chunkwise import _kernels
from chunkwise.ops.solid import Box, bounds_of, inner_of, solid_of

__all__ = ["gaussian", "radius", "smoothed_counts", "smoothed_mask"]

Array = np.ndarray[Any, Any]

#: SciPy's default: the kernel ends at this many standard deviations.
TRUNCATE = 4.0


Sigma = float | tuple[float, ...]


def radius(sigma: float) -> int:
    """How far the kernel reaches: the halo that a block needs, in voxels."""
    return int(TRUNCATE * float(sigma) + 0.5) if sigma > 0 else 0


def gaussian(volume: Array, sigma: Sigma, inner: Box | None = None) -> Array:
    """Smooth a volume, or a block with its halo.

    Parameters
    ----------
    volume : ndarray
        Of an integer type, float32 or float64; 2-D or 3-D. A block with a halo of :func:`radius`
        voxels, cut at the volume's edges, gives the whole volume's values inside the halo.
    sigma : float or tuple of float
        Standard deviation in voxels, the same along every axis, or one for each, which SciPy computes; 0 returns the
        voxels themselves.
    inner : tuple of slice, optional
        The part to return; the whole volume without it.

    Returns
    -------
    ndarray
        Of the volume's dtype.
    """
    inner = inner_of(volume, inner)
    if isinstance(sigma, tuple):
        if len(set(sigma)) > 1:
            from scipy.ndimage import gaussian_filter

            return np.ascontiguousarray(gaussian_filter(volume, sigma)[inner])
        sigma = sigma[0]
    # SciPy skips a filter whose sigma is this close to none.
    if sigma <= 1e-15:
        return volume[inner]
    solid, box = solid_of(volume, inner)
    out = np.empty(tuple(part.stop - part.start for part in box), volume.dtype)
    _kernels.gaussian_store(solid, bounds_of(box), _weights(sigma), volume.ndim == 3, out)
    return out.reshape(tuple(part.stop - part.start for part in inner))


def smoothed_counts(volume: Array, sigma: Sigma, inner: Box | None = None) -> Array:
    """Count the values of a smoothed block of 8 or 16 bit integers.

    Returns
    -------
    ndarray of int64
        Of every value that the dtype has, the smallest first.
    """
    if isinstance(sigma, tuple):
        return smoothed_counts(gaussian(volume, sigma, inner), 0.0)
    info = np.iinfo(volume.dtype)
    counts = np.zeros(int(info.max) - int(info.min) + 1, np.int64)
    solid, box = solid_of(volume, inner_of(volume, inner))
    smooth = sigma > 1e-15
    _kernels.gaussian_count(solid, bounds_of(box), _weights(sigma), volume.ndim == 3, smooth, int(info.min), counts)
    return counts


def smoothed_mask(volume: Array, sigma: Sigma, threshold: Any, dark: bool = False, inner: Box | None = None) -> Array:
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
    if isinstance(sigma, tuple):
        return smoothed_mask(gaussian(volume, sigma, inner), 0.0, threshold, dark)
    inner = inner_of(volume, inner)
    solid, box = solid_of(volume, inner)
    out = np.empty(tuple(part.stop - part.start for part in box), np.bool_)
    limit = _comparable(threshold, volume.dtype)
    if limit is None:
        out[...] = (threshold > 0) == dark
    else:
        smooth = sigma > 1e-15
        _kernels.gaussian_compare(solid, bounds_of(box), _weights(sigma), volume.ndim == 3, smooth, limit, dark, out)
    return out.reshape(tuple(part.stop - part.start for part in inner))


def _comparable(threshold: Any, dtype: np.dtype[Any]) -> int | float | None:
    """A threshold with which the comparison is exact and means what it means in NumPy.

    None where every voxel of an integer type lies on the side of it on which 0 lies.
    """
    if dtype.kind in "iu":
        if math.isinf(threshold):
            return None
        # No integer lies between a number and its floor, so both ask the same.
        whole, info = math.floor(threshold), np.iinfo(dtype)
        return None if whole < info.min else min(whole, int(info.max))
    if dtype == np.float32 and not isinstance(threshold, np.float64):
        # NumPy compares a float32 array with a Python number in float32.
        return float(np.float32(threshold))
    return float(threshold)


def _weights(sigma: float) -> Array:
    """The right half of the kernel, centre first; computed as SciPy does."""
    if sigma <= 1e-15:
        return np.ones(1)
    reach = radius(sigma)
    x = np.arange(-reach, reach + 1)
    phi = np.exp(-0.5 / (float(sigma) * float(sigma)) * x**2)
    phi = phi / phi.sum()
    return np.ascontiguousarray(phi[reach:])
