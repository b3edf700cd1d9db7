"""The rolling ball, equal to ``skimage.restoration.rolling_ball`` to the bit.

scikit-image tries every voxel of the ball for every voxel of the image. Here whole pieces of the image are compared,
shifted by the voxel's place in the ball; and places at which the ball is as high are compared first and raised
afterwards, once for all of them. Rounding keeps the order of two numbers that are raised alike, so no bit changes.

Reference: ``skimage.restoration.rolling_ball(image, radius=radius)``; beyond the edge there is nothing to touch.
Algorithm: S. R. Sternberg, "Biomedical image processing", Computer 16 (1983) 22-34,
https://doi.org/10.1109/MC.1983.1654163.
"""

from __future__ import annotations

from itertools import product
from math import sqrt
from typing import Any

import numpy as np

from chunkwise.ops.morphology import refuse_rounding

__all__ = ["rolling_ball"]

Array = np.ndarray[Any, Any]

#: Voxels that are worked on at once, so that they stay in the processor's cache.
AT_ONCE = 2**15


def rolling_ball(image: Array, radius: int) -> Array:
    """Give the background that a ball touches.

    Parameters
    ----------
    image : ndarray
        2-D or 3-D; of an integer type, float32 or float64.
    radius : int
        In voxels, and in intensity.

    Returns
    -------
    ndarray
        Of the image's shape and dtype; integers are cut off, as there.

    Raises
    ------
    InputError
        For whole numbers beyond 2**53.
    """
    refuse_rounding(image)
    floats = image.dtype if image.dtype.kind == "f" else np.dtype(np.float64)
    wide = np.pad(image.astype(floats), radius, constant_values=np.inf)
    places = _places(radius, image.ndim, floats)
    out = np.empty(image.shape, floats)
    rows = max(1, AT_ONCE // max(1, image.shape[-1]))
    for start in product(*(range(n) for n in image.shape[:-2]), range(0, image.shape[-2], rows)):
        stop = (*(one + 1 for one in start[:-1]), min(start[-1] + rows, image.shape[-2]))
        box = (*(slice(a, b) for a, b in zip(start, stop, strict=True)), slice(0, image.shape[-1]))
        lowest = np.full([part.stop - part.start for part in box], np.inf, floats)
        for rise, shifts in places:
            parts = [
                wide[tuple(slice(p.start + s, p.stop + s) for p, s in zip(box, shift, strict=True))] for shift in shifts
            ]
            touched = parts[0].copy()
            for part in parts[1:]:
                np.fmin(touched, part, out=touched)  # a voxel that is no number is not touched
            touched += rise
            np.fmin(lowest, touched, out=lowest)
        out[box] = lowest
    out += floats.type(0)  # a zero with a minus is equal to one without, and has other bytes
    return out.astype(image.dtype, copy=False)


def _places(radius: int, ndim: int, floats: Any) -> list[tuple[Any, list[tuple[int, ...]]]]:
    """Places in the ball, by how far it lies below its top there."""
    found: dict[int, list[tuple[int, ...]]] = {}
    for place in product(range(-radius, radius + 1), repeat=ndim):
        square = sum(one * one for one in place)
        if square <= radius * radius:
            found.setdefault(square, []).append(tuple(one + radius for one in place))
    top = floats.type(sqrt(radius * radius))
    return [(top - floats.type(sqrt(radius * radius - square)), shifts) for square, shifts in found.items()]
