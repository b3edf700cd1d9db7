"""Parting a component by what a model says of its voxels: seeds from maps, then flooding.

Two ways to seeds; the flooding is that of :mod:`chunkwise.ops.split`. ``mask`` is the component alone, in a box
around it; what maps hold outside of it is never looked at. Reference, on the whole volume::

    inner   = foreground - boundary
    markers = skimage.measure.label(mask & (inner > seed_threshold), connectivity=connectivity)

or, for a map that grows from the edge of an object to its middle::

    highest = scipy.ndimage.maximum_filter(np.where(mask, distance, -inf), 2 * min_distance + 1)
    peaks   = mask & (distance > seed_threshold) & (distance == highest)
    near    = scipy.ndimage.maximum_filter(peaks, 2 * (min_distance // 2) + 1)
    markers = skimage.measure.label(near, connectivity=ndim) * peaks

so that a plateau, or peaks of one height side by side, are one seed; and then::

    skimage.segmentation.watershed(ranks, markers, connectivity=connectivity, mask=mask)

where ``ranks`` orders the voxels by ``-inner`` or ``-distance``; of voxels of the same value those of markers come
first, in raster order. A component without a seed is one object.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter

from chunkwise.ops.components import label
from chunkwise.ops.split import flood

__all__ = ["BYTES_A_VOXEL", "part_by_boundary", "part_by_distance"]

Array = np.ndarray[Any, Any]

#: What parting holds at most for each voxel of a box, the maps aside (measured: 57 of float32, at the ranking).
BYTES_A_VOXEL = 72


def part_by_boundary(
    mask: Array, foreground: Array, boundary: Array, seed_threshold: float, connectivity: int
) -> tuple[Array, int]:
    """Part a component where a model sees boundaries.

    Parameters
    ----------
    mask : ndarray of bool
        2-D or 3-D, the component alone.
    foreground, boundary : ndarray of float
        Of the mask's shape.
    seed_threshold : float
        Seeds are where foreground less boundary is more than this.
    connectivity : int
        Under which the component is connected, and each of its seeds: 1 .. ndim.

    Returns
    -------
    parts : ndarray of int32
        0 outside the component, 1..n inside.
    n : int
        Number of parts, 1 or more.
    """
    inner = foreground - boundary
    markers = label(mask & (inner > seed_threshold), connectivity)
    return _flooded(mask, inner, markers, connectivity)


def part_by_distance(
    mask: Array, distance: Array, seed_threshold: float, min_distance: int, connectivity: int
) -> tuple[Array, int]:
    """Part a component around the peaks of a predicted distance; the rest as of :func:`part_by_boundary`.

    Parameters
    ----------
    distance : ndarray of float
        Of the mask's shape: larger the further inside an object a voxel lies.
    seed_threshold : float
        Peaks are higher than this.
    min_distance : int
        Nothing so many voxels around a peak, along every axis, is higher; peaks of one height that are so near are one.
    """
    heights = _ranks(mask, distance)
    highest = maximum_filter(heights, 2 * min_distance + 1, mode="constant", cval=0)
    peaks = mask & (distance > seed_threshold) & (heights == highest)
    near = maximum_filter(peaks, 2 * (min_distance // 2) + 1, mode="constant", cval=0)
    return _flooded(mask, distance, label(near, mask.ndim) * peaks, connectivity, heights)


def _flooded(
    mask: Array, values: Array, markers: Array, connectivity: int, heights: Array | None = None
) -> tuple[Array, int]:
    """Flood a component from its markers, the highest values first."""
    count = int(markers.max(initial=0))
    if count < 2:
        return mask.astype(np.int32), 1
    if heights is None:
        heights = _ranks(mask, values)
    seeds = np.flatnonzero(markers)
    return flood(heights, seeds, markers.ravel()[seeds].astype(np.int32), connectivity), count


def _ranks(mask: Array, values: Array) -> Array:
    """Whole numbers from 1 in the order of the values, 0 outside the mask; what is not a number comes first."""
    inside = values[mask]
    inside[np.isnan(inside)] = -np.inf
    ranks = np.zeros(mask.shape, np.int32)
    ranks[mask] = np.unique(inside, return_inverse=True)[1] + 1
    return ranks
