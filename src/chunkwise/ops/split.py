"""Splitting one connected component into round parts: distance, seeds, flooding.

Reference, on the component's bounding box padded by one voxel and clipped at the volume, with everything
but the component taken away (``spacing`` as :func:`relative_spacing` gives it)::

    distance = scipy.ndimage.distance_transform_edt(mask, sampling=spacing)
    seeds = skimage.feature.peak_local_max(
        distance, min_distance=min_distance, labels=mask.astype(int), exclude_border=False)
    skimage.segmentation.watershed(ranks, markers, connectivity=connectivity, mask=mask)

where ``markers`` holds the seeds 1..n in raster order, and ``ranks`` orders the voxels by ``-distance``;
of voxels of the same distance seeds come first, in raster order, so that no tie is left to a heap.

Only the order of the distances matters. Where the spacing is a ratio of whole numbers, squared distances
are whole numbers too, and are worked out exactly, line by line, as lower envelopes of parabolas
(Meijster, Roerdink and Hesselink 2000); any other spacing is left to SciPy, whose rounding decides then.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise import _kernels

__all__ = ["bytes_a_voxel", "flood", "may_split", "relative_spacing", "split"]

Array = np.ndarray[Any, Any]

#: Further away than any voxel.
FAR = 2**31 - 1


def relative_spacing(scale: tuple[float, ...]) -> tuple[float, ...]:
    """Make distances a matter of ratios: the smallest edge of a voxel becomes 1.

    A common factor changes no order of distances, but it would change how they are rounded.

    Parameters
    ----------
    scale : tuple of float
        Edges of a voxel, in any one unit; above 0.
    """
    return tuple(float(edge) / float(min(scale)) for edge in scale)


def bytes_a_voxel(spacing: tuple[float, ...]) -> int:
    """What splitting holds at most for each voxel of a box (measured: 20, with SciPy's distances 49)."""
    return 32 if _is_whole(spacing) else 64


def _is_whole(spacing: tuple[float, ...]) -> bool:
    return all(edge.is_integer() for edge in spacing)


def may_split(extents: Array, min_distance: int) -> Array:
    """Whether components are large enough for two seeds, judging by their bounding boxes.

    Parameters
    ----------
    extents : ndarray of int, shape (n, ndim)
        Of the bounding boxes.
    min_distance : int
        As in :func:`split`.

    Returns
    -------
    ndarray of bool, shape (n,)
    """
    return np.asarray(extents.max(axis=1) > min_distance)


def split(mask: Array, spacing: tuple[float, ...], min_distance: int, connectivity: int) -> tuple[Array, int]:
    """Split one component.

    Parameters
    ----------
    mask : ndarray of bool
        2-D or 3-D: the component's bounding box padded by one voxel, clipped at the volume.
    spacing : tuple of float
        One an axis, the smallest 1.
    min_distance : int
        Seeds lie at least so many voxels apart along one of the axes; 1 or more.
    connectivity : int
        Under which the component is connected: 1 .. ndim.

    Returns
    -------
    parts : ndarray of int32
        0 outside the component, 1..n inside; of the mask's shape.
    n : int
        Number of parts, 1 or more. A component that fills the volume has no distances, and is one part.
    """
    if mask.all():
        return np.ones(mask.shape, np.int32), 1
    heights = _heights(mask, spacing)
    seeds = _seeds(heights, mask, min_distance)
    if len(seeds) == 1:
        return mask.astype(np.int32), 1
    return _parts(heights, seeds, connectivity), len(seeds)


def _solid(array: Array) -> Array:
    """2-D arrays are 3-D ones of one slice, so that one kernel serves both."""
    return array.reshape((1,) * (3 - array.ndim) + array.shape)


def _heights(mask: Array, spacing: tuple[float, ...]) -> Array:
    """Whole numbers above 0 in the order of the distances, 0 outside the mask."""
    weights = [edge * edge for edge in spacing]
    most = sum(weight * size * size for weight, size in zip(weights, mask.shape, strict=True))
    if _is_whole(spacing) and most < FAR:
        wz, wy, wx = [0] * (3 - mask.ndim) + [int(weight) for weight in weights]
        heights: Array = np.empty(mask.shape, np.int32)
        _kernels.squared_distances(_solid(np.ascontiguousarray(mask)), wz, wy, wx, _solid(heights))
        # Buckets for heights that do not occur would take more room than the voxels.
        if heights.max() <= heights.size:
            return heights
        distances = heights[mask]
    else:
        from scipy.ndimage import distance_transform_edt

        distances = distance_transform_edt(mask, sampling=spacing)[mask]
    ranks = np.zeros(mask.shape, np.int32)
    ranks[mask] = np.unique(distances, return_inverse=True)[1] + 1
    return ranks


def _seeds(heights: Array, mask: Array, min_distance: int) -> Array:
    """Flat indices of the seeds, in raster order."""
    found: Array = _kernels.local_maxima(_solid(heights))
    if len(found) == 1:
        return found
    if min_distance > 1:
        from scipy.ndimage import maximum_filter1d

        highest = heights
        for axis in range(heights.ndim):
            highest = maximum_filter1d(highest, 2 * min_distance + 1, axis=axis, mode="constant", cval=0)
        found = found[heights.ravel()[found] == highest.ravel()[found]]
    if len(found) == np.count_nonzero(mask):
        # Every voxel is a peak. scikit-image then takes those that an opening takes away.
        from scipy.ndimage import binary_opening

        found = np.flatnonzero(mask & ~binary_opening(mask))
    if min_distance > 1:
        nz, ny, nx = _solid(mask).shape
        found = _kernels.thin(found, nz, ny, nx, min_distance)
    return found


def _parts(heights: Array, seeds: Array, connectivity: int) -> Array:
    """Flood from the seeds, highest first."""
    return flood(heights, seeds, np.arange(1, len(seeds) + 1, dtype=np.int32), connectivity)


def flood(heights: Array, seeds: Array, numbers: Array, connectivity: int) -> Array:
    """Watershed from the highest voxels down, in a component alone.

    Reference: ``skimage.segmentation.watershed(ranks, markers, connectivity=connectivity, mask=heights > 0)``, where
    ``ranks`` orders the voxels by ``-heights``, and of one height those of the markers first, in raster order.

    Parameters
    ----------
    heights : ndarray of int32
        0 outside the component, and no more different ones than voxels.
    seeds : ndarray of int64, shape (n,)
        Flat indices of voxels, in raster order.
    numbers : ndarray of int32, shape (n,)
        The part that each belongs to, 1 or more.
    connectivity : int
        1 .. ndim.

    Returns
    -------
    ndarray of int32
        The part of each voxel of the component that a seed reaches, else 0.
    """
    frame = np.pad(_solid(heights), 1)
    _, ny, nx = frame.shape
    z, y, x = np.unravel_index(seeds, _solid(heights).shape)
    steps = _neighbours(heights.ndim, connectivity) @ np.array([ny * nx, nx, 1])
    places = ((z + 1) * ny + y + 1) * nx + x + 1
    following = np.empty(frame.size, np.int32 if frame.size <= FAR else np.int64)
    flooded = np.zeros(frame.shape, np.int32)
    _kernels.flood(frame.ravel(), places, numbers, steps, int(heights.max()), following, flooded.reshape(-1))
    return np.ascontiguousarray(flooded[1:-1, 1:-1, 1:-1]).reshape(heights.shape)


def _neighbours(ndim: int, connectivity: int) -> Array:
    """Steps to the neighbours of a voxel: nearest first, then in raster order, as in scikit-image."""
    steps = np.array(list(np.ndindex((3,) * ndim))) - 1
    length = np.abs(steps).sum(axis=1)
    order = np.argsort(length, kind="stable")
    order = order[(length[order] > 0) & (length[order] <= connectivity)]
    return np.pad(steps[order], ((0, 0), (3 - ndim, 0)))
