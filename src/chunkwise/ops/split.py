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

import numba
import numpy as np

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
        whole = [0] * (3 - mask.ndim) + [int(weight) for weight in weights]
        heights: Array = _squared_distances(_solid(mask), *whole).reshape(mask.shape)
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
    found: Array = _local_maxima(_solid(heights))
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
        found = _thin(found, _solid(mask).shape, min_distance)
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
    flooded = _flood(frame.ravel(), places, numbers, steps, int(heights.max()), following).reshape(frame.shape)
    return np.ascontiguousarray(flooded[1:-1, 1:-1, 1:-1]).reshape(heights.shape)


def _neighbours(ndim: int, connectivity: int) -> Array:
    """Steps to the neighbours of a voxel: nearest first, then in raster order, as in scikit-image."""
    steps = np.array(list(np.ndindex((3,) * ndim))) - 1
    length = np.abs(steps).sum(axis=1)
    order = np.argsort(length, kind="stable")
    order = order[(length[order] > 0) & (length[order] <= connectivity)]
    return np.pad(steps[order], ((0, 0), (3 - ndim, 0)))


@numba.njit(cache=True, nogil=True)
def _squared_distances(mask, wz, wy, wx):
    """Squared distance to the nearest voxel outside the mask; the weights are squared edges of a voxel."""
    nz, ny, nx = mask.shape
    out = np.empty(mask.shape, np.int32)
    for z in range(nz):
        for y in range(ny):
            steps = FAR
            for x in range(nx):
                steps = 0 if not mask[z, y, x] else min(steps + 1, FAR)
                out[z, y, x] = steps
            steps = FAR
            for x in range(nx - 1, -1, -1):
                steps = 0 if not mask[z, y, x] else min(steps + 1, FAR)
                nearest = min(steps, np.int64(out[z, y, x]))
                out[z, y, x] = FAR if nearest == FAR else wx * nearest * nearest
    longest = max(nz, ny)
    line, sites, begins = np.empty(longest, np.int64), np.empty(longest, np.int64), np.empty(longest, np.int64)
    if ny > 1:
        for z in range(nz):
            for x in range(nx):
                _lower_line(out[z, :, x], wy, line, sites, begins)
    if nz > 1:
        for y in range(ny):
            for x in range(nx):
                _lower_line(out[:, y, x], wz, line, sites, begins)
    return out


@numba.njit(cache=True, nogil=True)
def _lower_line(values, weight, line, sites, begins):
    """Take distances along one more axis into account: ``min over j of values[j] + weight * (i - j)**2``."""
    size = len(values)
    start = 0
    while start < size:
        if values[start] == 0:
            start += 1
            continue
        stop = start
        while stop < size and values[stop] != 0:
            stop += 1
        # Beyond the zeros at its ends nothing can be nearer to a run.
        _lower_run(values, max(start - 1, 0), min(stop + 1, size), weight, line, sites, begins)
        start = stop


@numba.njit(cache=True, nogil=True)
def _lower_run(values, start, stop, weight, line, sites, begins):
    """Keep the parabolas that are lowest somewhere, and from where on each is; then read them off."""
    last = -1
    for u in range(start, stop):
        height = np.int64(values[u])
        line[u] = height
        if height == FAR:
            continue
        while last >= 0:
            t, s = begins[last], sites[last]
            if line[s] + weight * (t - s) * (t - s) <= height + weight * (t - u) * (t - u):
                break
            last -= 1
        if last < 0:
            last = 0
            sites[0], begins[0] = u, start
        else:
            s = sites[last]
            begin = 1 + (weight * (u * u - s * s) + height - line[s]) // (2 * weight * (u - s))
            if begin < stop:
                last += 1
                sites[last], begins[last] = u, begin
    if last < 0:
        return
    for u in range(stop - 1, start - 1, -1):
        s = sites[last]
        values[u] = line[s] + weight * (u - s) * (u - s)
        if u == begins[last]:
            last -= 1


@numba.njit(cache=True, nogil=True)
def _local_maxima(heights):
    """Flat indices of voxels that none of their up to 26 neighbours is higher than."""
    nz, ny, nx = heights.shape
    found = []
    for z in range(nz):
        for y in range(ny):
            for x in range(nx):
                height = heights[z, y, x]
                if height == 0:
                    continue
                # Most voxels have a higher neighbour before or behind them.
                if (x > 0 and heights[z, y, x - 1] > height) or (x + 1 < nx and heights[z, y, x + 1] > height):
                    continue
                highest = True
                for k in range(max(z - 1, 0), min(z + 2, nz)):
                    for j in range(max(y - 1, 0), min(y + 2, ny)):
                        for i in range(max(x - 1, 0), min(x + 2, nx)):
                            if heights[k, j, i] > height:
                                highest = False
                if highest:
                    found.append((z * ny + y) * nx + x)
    return np.array(found, np.int64)


@numba.njit(cache=True, nogil=True)
def _thin(found, shape, min_distance):
    """Drop peaks that are less than the distance from one kept before; peaks so near are of one height."""
    _, ny, nx = shape
    taken = np.zeros(shape, np.bool_)
    kept = []
    for place in found:
        z, y, x = place // (ny * nx), place // nx % ny, place % nx
        if taken[z, y, x]:
            continue
        kept.append(place)
        taken[
            max(z - min_distance + 1, 0) : z + min_distance,
            max(y - min_distance + 1, 0) : y + min_distance,
            max(x - min_distance + 1, 0) : x + min_distance,
        ] = True
    return np.array(kept, np.int64)


@numba.njit(cache=True, nogil=True)
def _flood(heights, seeds, numbers, steps, top, following):
    """Watershed from the highest voxels down: one queue a height, first come first served.

    The frame of the array is 0; ``following`` holds the queues. Seeds are queued before anything else, in raster order.
    """
    parts = np.zeros(len(heights), np.int32)
    first = np.full(top + 1, -1)
    last = np.full(top + 1, -1)
    for k in range(len(seeds)):
        place = seeds[k]
        parts[place] = numbers[k]
        height = heights[place]
        following[place] = -1
        if first[height] < 0:
            first[height] = place
        else:
            following[last[height]] = place
        last[height] = place
    height = np.int64(top)
    while height > 0:
        place = first[height]
        if place < 0:
            height -= 1
            continue
        first[height] = following[place]
        for step in steps:
            neighbour = place + step
            if heights[neighbour] == 0 or parts[neighbour] != 0:
                continue
            # What is higher than the flood stands at is flooded at once, not before.
            level = min(height, np.int64(heights[neighbour]))
            parts[neighbour] = parts[place]
            following[neighbour] = -1
            if first[level] < 0:
                first[level] = neighbour
            else:
                following[last[level]] = neighbour
            last[level] = neighbour
    return parts
