"""What is not a sum: measured on all of an object at once, cut out by its bounding box.

Reference: ``skimage.measure.regionprops`` on the whole volume, which looks at nothing but that cut either:
``area_convex``, ``solidity``, ``feret_diameter_max``, ``area_filled``, ``perimeter``, ``perimeter_crofton``, all
moments, ``intensity_median``; and
``numpy.percentile(image[object], percentiles)``.

Planes are measured by scikit-image's own calls. For volumes two of them take other ways to the same numbers.
The hull: scikit-image holds every voxel of the box against every side of the hull (80 bytes a voxel, a minute
for a ball of 120 voxels across); here every line of voxels is, and gets the interval that is inside. The longest
diameter: it compares every pair of points of a surface, gigabytes; but the two points that are farthest apart
are corners of the convex hull. Both are safe because corners lie on halves: a voxel is on a side, or away from it
by far more than what rounding does, and distances of corners are exact.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import nan, sqrt
from typing import Any

import numpy as np

from chunkwise import _kernels

__all__ = ["MOMENTS", "SHAPES", "bytes_a_voxel", "convex_hull", "intensities", "longest_diameter", "shapes"]

Array = np.ndarray[Any, Any]

#: What :func:`shapes` can measure: one number each, and several.
SHAPES = ("area_convex", "solidity", "feret_diameter_max", "area_filled", "perimeter", "perimeter_crofton")
MOMENTS = ("moments", "moments_central", "moments_normalized", "moments_hu")

#: Those that are of the convex hull.
_OF_HULL = {"area_convex", "solidity", "feret_diameter_max"}
#: A voxel is inside of a side of the hull if it is not farther outside than this; scikit-image's number.
TOLERANCE = 1e-10


def bytes_a_voxel(properties: Iterable[str]) -> int:
    """Bytes that measuring takes at most for each voxel of the object's box.

    The mask; the hull and what is compared for it, or the perimeter's integers; two copies of the intensities as
    float64 that the percentiles are sorted out of; the products that moments are summed up of, four for a voxel of a
    single plane. As tracemalloc counts them, and a little more.
    """
    wanted = set(properties)
    shape = 96 if wanted & set(MOMENTS) else 24
    return shape + (24 if wanted & {"intensity_median", "intensity_percentile"} else 0)


def shapes(mask: Array, properties: Iterable[str]) -> dict[str, Any]:
    """Measure the shape of one object.

    Parameters
    ----------
    mask : ndarray of bool, 2-D or 3-D
        The object in its bounding box.
    properties : iterable of str
        Of these those that are in :data:`SHAPES` or :data:`MOMENTS`.

    Returns
    -------
    dict
        In voxels. What is of the hull is nan where a 3-D object lies in one plane and has none.
    """
    from skimage.measure import perimeter, regionprops

    wanted = set(properties)
    found: dict[str, Any] = {}
    if wanted & _OF_HULL:
        hull = convex_hull(mask)
        size = int(hull.sum())
        found["area_convex"] = float(size) if size else nan
        found["solidity"] = int(mask.sum()) / size if size else nan
        if "feret_diameter_max" in wanted:
            found["feret_diameter_max"] = longest_diameter(hull) if size else nan
    if "perimeter" in wanted:
        found["perimeter"] = float(perimeter(mask, 4))
    usual = wanted & {"area_filled", "perimeter_crofton", *MOMENTS}
    if usual:
        (region,) = regionprops(mask.view(np.uint8))
        found |= {name: region[name] for name in usual}
    return {name: value for name, value in found.items() if name in wanted}


def convex_hull(mask: Array) -> Array:
    """Voxels in the convex hull of an object, seen as a body of diamonds around its voxels.

    Reference: ``skimage.morphology.convex_hull_image(mask)``.

    Parameters
    ----------
    mask : ndarray of bool, 2-D or 3-D
        Not empty.

    Returns
    -------
    ndarray of bool
        Without a voxel where a 3-D object lies in one plane.
    """
    from scipy.spatial import ConvexHull, QhullError

    if mask.ndim == 2:
        from skimage.morphology import convex_hull_image

        return np.asarray(convex_hull_image(mask))
    z, y = np.nonzero(mask.any(axis=2))
    lines = mask[z, y]
    ends = [lines.argmax(axis=1), mask.shape[2] - 1 - lines[:, ::-1].argmax(axis=1)]
    points = np.concatenate([np.stack([z, y, x], axis=1) for x in ends])
    try:
        corners = points[ConvexHull(points).vertices]
    except (QhullError, ValueError):
        return np.zeros(mask.shape, bool)
    diamond = np.concatenate([np.eye(3), -np.eye(3)]) / 2
    body = np.unique((corners[:, None] + diamond).reshape(-1, 3), axis=0)
    sides = np.unique(ConvexHull(body).equations, axis=0)
    low, high = np.full(mask.shape[:2], -np.inf), np.full(mask.shape[:2], np.inf)
    _kernels.intervals(sides, TOLERANCE, low, high)
    along = np.arange(mask.shape[2])
    return np.asarray((along > low[..., None]) & (along < high[..., None]))


def longest_diameter(hull: Array) -> float:
    """Longest distance between two points halfway between voxels of a convex object and those outside.

    Parameters
    ----------
    hull : ndarray of bool
        Not empty.
    """
    from scipy.spatial import ConvexHull
    from scipy.spatial.distance import pdist

    padded = np.pad(hull.view(np.int8), 1)
    points = []
    for axis in range(hull.ndim):
        between = np.argwhere(np.diff(padded, axis=axis)).astype(np.float64)
        between[:, axis] += 0.5
        points.append(between)
    outline = np.concatenate(points)
    corners = outline[ConvexHull(outline).vertices]
    return sqrt(pdist(corners, "sqeuclidean").max())


def intensities(values: Array, median: bool, percentiles: tuple[float, ...]) -> tuple[float, Array]:
    """Median (nan if not asked for) and percentiles of the intensities of an object.

    Parameters
    ----------
    values : ndarray, 1-D
        Of a real type, not empty. Floats count as float64.
    """
    if values.dtype.kind == "f":
        values = values.astype(np.float64, copy=False)
    elif values.dtype == bool:
        values = values.view(np.uint8)
    with np.errstate(invalid="ignore"):
        # Between two infinities there is no number in the middle.
        middle = float(np.median(values)) if median else nan
        return middle, np.asarray(np.percentile(values, percentiles), np.float64)
