"""What is not a sum: measured on all of an object at once, cut out by its bounding box.

Reference: ``skimage.measure.regionprops`` on the whole volume, which looks at nothing but that cut either:
``area_convex``, ``solidity``, ``feret_diameter_max``, ``perimeter``, ``intensity_median``; and
``numpy.percentile(image[object], percentiles)``. The calls here are scikit-image's own, but for the longest
diameter: there it compares every pair of points of a surface, tens of gigabytes for an object of 100 voxels
across. The two points that are farthest apart are corners of the convex hull, and all coordinates are whole
or halves, so the distance between hull corners is the same number.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from math import nan, sqrt
from typing import Any

import numpy as np

__all__ = ["SHAPES", "bytes_a_voxel", "intensities", "longest_diameter", "shapes"]

Array = np.ndarray[Any, Any]

#: What :func:`shapes` can measure.
SHAPES = ("area_convex", "solidity", "feret_diameter_max", "perimeter")


def bytes_a_voxel(properties: Iterable[str], ndim: int) -> int:
    """Bytes that measuring takes at most for each voxel of the object's box, the mask included.

    Beside the mask: the hull of a volume makes three coordinates of every voxel, as integers and as
    floats, and two numbers; the perimeter convolves integers; a median sorts a copy.
    """
    wanted = set(properties)
    if ndim == 3 and wanted & {"area_convex", "solidity", "feret_diameter_max"}:
        return 80
    return 40


def shapes(mask: Array, properties: Iterable[str]) -> dict[str, float]:
    """Measure the shape of one object.

    Parameters
    ----------
    mask : ndarray of bool, 2-D or 3-D
        The object in its bounding box.
    properties : iterable of str
        Of these those that are in :data:`SHAPES`.

    Returns
    -------
    dict
        In voxels. What is of the hull is nan where a 3-D object lies in one plane and has none.
    """
    from skimage.measure import perimeter

    wanted = set(properties)
    found: dict[str, float] = {}
    if wanted & {"area_convex", "solidity", "feret_diameter_max"}:
        hull = _hull(mask)
        size = int(hull.sum())
        found["area_convex"] = float(size) if size else nan
        found["solidity"] = int(mask.sum()) / size if size else nan
        if "feret_diameter_max" in wanted:
            found["feret_diameter_max"] = longest_diameter(hull) if size else nan
    if "perimeter" in wanted:
        found["perimeter"] = float(perimeter(mask, 4))
    return {name: value for name, value in found.items() if name in wanted}


def _hull(mask: Array) -> Array:
    from skimage.morphology import convex_hull_image

    with warnings.catch_warnings():
        # It warns that there is no hull, and gives nothing back.
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(convex_hull_image(mask))


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
