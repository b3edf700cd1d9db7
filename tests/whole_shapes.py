"""Labels of points and polygons by SciPy and scikit-image, on the whole image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt
from skimage.draw import polygon2mask

__all__ = ["whole_shapes"]

Array = np.ndarray[Any, Any]


def whole_shapes(shape: tuple[int, ...], drawn: Sequence[tuple[int, Any, float]]) -> Array:
    """Draw shapes in their order.

    Parameters
    ----------
    shape : tuple of int
        Of the image.
    drawn : sequence of (label, place, radius)
        The place is that of a voxel, or a list of rings of x and y.
    """
    result = np.zeros(shape, np.uint64)
    for label, place, radius in drawn:
        if isinstance(place, list):
            mask = np.zeros(shape, bool)
            for ring in place:
                mask ^= polygon2mask(shape, np.asarray(ring)[:, ::-1])
        else:
            voxel = np.ones(shape, bool)
            voxel[tuple(place)] = False
            mask = distance_transform_edt(voxel) <= radius
        result[mask] = label
    return result
