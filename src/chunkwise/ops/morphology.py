"""Erosion and dilation by a box or a ball, equal to ``skimage.morphology`` to the bit.

SciPy compares a voxel with every voxel of a ball. Here a ball is taken apart into its rows: the extreme of a row comes
from SciPy's running minimum along the last axis, once for each length, and whole arrays of these are compared, shifted
by the row's place. An extreme does not depend on the order of comparisons, so no bit changes.

Voxels beyond the edge do not count. That is what mirroring, the rule of scikit-image, comes to with these shapes: what
is mirrored into them lies in them already. A voxel that is not a number makes its neighbourhood one; SciPy's result
depends on the order in which it compares then.

Reference: ``skimage.morphology.erosion(image, footprint)`` and ``dilation``.
"""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any

import numpy as np

from chunkwise.errors import VoxelsError

__all__ = ["closing", "difference", "dilation", "erosion", "opening", "refuse_rounding"]

Array = np.ndarray[Any, Any]

#: Whole numbers up to here are exact as float64, in which SciPy's filters compute.
EXACT = 2**53
Radius = int | tuple[int, ...]


def erosion(image: Array, radius: Radius, footprint: str) -> Array:
    """Give the minimum around every voxel.

    Parameters
    ----------
    image : ndarray
        2-D or 3-D; of bool, an integer or a float type.
    radius : int or tuple of int
        In voxels, the same along every axis or one for each.
    footprint : str
        ``box``, with edges of ``2 * radius + 1``, or ``ball``, which is an ellipsoid where radii differ.

    Returns
    -------
    ndarray
        Of the image's shape and dtype.

    Raises
    ------
    InputError
        For whole numbers beyond 2**53.
    """
    return _extreme(image, radius, footprint, least=True)


def dilation(image: Array, radius: Radius, footprint: str) -> Array:
    """Give the maximum around every voxel; see :func:`erosion`."""
    return _extreme(image, radius, footprint, least=False)


def opening(image: Array, radius: Radius, footprint: str) -> Array:
    """Erode, then dilate; see :func:`erosion`."""
    return dilation(erosion(image, radius, footprint), radius, footprint)


def closing(image: Array, radius: Radius, footprint: str) -> Array:
    """Dilate, then erode; see :func:`erosion`."""
    return erosion(dilation(image, radius, footprint), radius, footprint)


def difference(high: Array, low: Array) -> Array:
    """Subtract what is nowhere larger; signed integers end at their largest value instead of wrapping around."""
    if high.dtype == bool:
        return high ^ low
    if high.dtype.kind != "i":
        return high - low
    unsigned = np.dtype(f"u{high.dtype.itemsize}")
    apart = high.view(unsigned) - low.view(unsigned)
    return np.asarray(np.minimum(apart, unsigned.type(np.iinfo(high.dtype).max)).view(high.dtype))


def refuse_rounding(image: Array) -> None:
    """Refuse whole numbers that SciPy's and scikit-image's filters would round.

    Raises
    ------
    VoxelsError
        If there is one beyond 2**53.
    """
    wide = image.dtype.kind in "iu" and image.dtype.itemsize == 8
    if wide and image.size and max(int(image.max()), -int(image.min())) > EXACT:
        raise VoxelsError(
            f"The image has whole numbers beyond {EXACT}, which would be rounded; make it smaller numbers first."
        )


def _extreme(image: Array, radius: Radius, footprint: str, *, least: bool) -> Array:
    from scipy.ndimage import maximum_filter, maximum_filter1d, minimum_filter, minimum_filter1d

    if image.dtype.kind == "f":
        if np.isnan(image).any():  # comparisons with it would depend on their order
            none = np.isnan(image)
            filled = np.where(none, image.dtype.type(np.inf if least else -np.inf), image)
            made = _extreme(filled, radius, footprint, least=least)
            made[dilation(none, radius, footprint)] = np.nan
            return made
        image = image + image.dtype.type(0)  # a zero with a minus is equal to one without, and has other bytes
    refuse_rounding(image)
    voxels = np.ascontiguousarray(image).view(np.uint8) if image.dtype == bool else image
    radii = (radius,) * image.ndim if isinstance(radius, int) else radius
    if footprint == "box":
        whole = (minimum_filter if least else maximum_filter)(voxels, tuple(2 * far + 1 for far in radii))
        return np.asarray(whole.view(image.dtype))
    along, of_two = (minimum_filter1d, np.minimum) if least else (maximum_filter1d, np.maximum)
    found: Array | None = None
    for half, places in sorted(_rows(radii).items(), reverse=True):
        rows = along(voxels, 2 * half + 1, axis=-1)
        found = rows.copy() if found is None else found  # the longest row is that through the middle
        for place in places:
            to = tuple(slice(max(0, -far), max(0, n - far)) for far, n in zip(place, image.shape, strict=False))
            of = tuple(slice(max(0, far), max(0, n + far)) for far, n in zip(place, image.shape, strict=False))
            of_two(found[to], rows[of], out=found[to])
    assert found is not None
    return found.view(image.dtype)


def _rows(radii: tuple[int, ...]) -> dict[int, list[tuple[int, ...]]]:
    """The rows of an ellipsoid along the last axis: their places, by half their length without the middle."""
    squares = [max(1, far) ** 2 for far in radii]
    shares = [prod(squares) // square for square in squares]
    found: dict[int, list[tuple[int, ...]]] = {}
    for place in product(*(range(-far, far + 1) for far in radii[:-1])):
        left = prod(squares) - sum(at * at * share for at, share in zip(place, shares, strict=False))
        fits = [half for half in range(radii[-1] + 1) if half * half * shares[-1] <= left]
        if fits:
            found.setdefault(fits[-1], []).append(place)
    return found
