"""What one block says of its objects: counts, coordinates, boxes, and sums of intensities.

Everything here is additive, so that the rows of an object's blocks can be merged later. Coordinates
are summed relative to the block's corner and as integers, so that nothing overflows or is rounded;
sums of integers are kept in two halves of 32 bits for the same reason. Squares are summed as distances
from the block's own mean, because sums of plain squares overflow int64 and cancel in float64.

Reference: ``skimage.measure.regionprops_table`` on the whole volume.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["BlockMoments", "merge_rows", "row_type", "totals", "value_type"]

Array = np.ndarray[Any, Any]

LOW_HALF = np.int64(0xFFFFFFFF)

#: How columns of several rows of one object become one.
_SUMMED = ("count", "coordinates", "high", "low", "sum")
_SMALLEST = ("first", "min")
_LARGEST = ("last", "max")


def value_type(dtype: str) -> str:
    """How the values of an image are kept: ``u8`` or ``i8`` where they are integers, else ``f8``."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return "f8"
    return "u8" if kind == np.uint64 else "i8"


def row_type(ndim: int, values: str | None, channels: int) -> np.dtype[Any]:
    """The row of one object in one block.

    Parameters
    ----------
    ndim : int
        Number of axes of the volume.
    values : str or None
        As :func:`value_type` returns it; None where there is no image.
    channels : int
        Number of channels of the image.

    Returns
    -------
    dtype
        ``label``; ``count`` of voxels; ``coordinates``, their sum; ``first`` and ``last`` coordinate (the
        last included). For each channel ``high`` and ``low``, the sum as ``high * 2**32 + low`` (integers),
        or ``sum`` (floats); ``min``, ``max``; ``squares``, the sum of squared distances from the mean;
        ``rest``, what rounding left out of the mean, times the count.
    """
    fields: list[tuple[Any, ...]] = [
        ("label", "u8"),
        ("count", "i8"),
        ("coordinates", "i8", (ndim,)),
        ("first", "i8", (ndim,)),
        ("last", "i8", (ndim,)),
    ]
    if values is not None:
        sums = ["sum"] if values == "f8" else ["high", "low"]
        fields += [(name, "f8" if name == "sum" else "i8", (channels,)) for name in sums]
        fields += [("min", values, (channels,)), ("max", values, (channels,)), ("squares", "f8", (channels,))]
        fields.append(("rest", "f8", (channels,)))
    return np.dtype(fields)


class BlockMoments:
    """The objects of one block: made of the labels, then filled channel by channel.

    Parameters
    ----------
    labels : ndarray
        Of an integer type, 2-D or 3-D; what is not above 0 is background.
    origin : tuple of int
        Where the block begins in its volume.
    values : str or None
        As :func:`value_type` returns it; None where there is no image.
    channels : int
        Number of channels of the image.

    Attributes
    ----------
    rows : ndarray of :func:`row_type`
        One row an object, sorted by label.
    """

    def __init__(self, labels: Array, origin: tuple[int, ...], values: str | None = None, channels: int = 0) -> None:
        ndim = labels.ndim
        self._origin, self._shape = origin, labels.shape
        self._index, found = _number(np.ascontiguousarray(labels).reshape(-1))
        # 2-D volumes are 3-D ones of one slice, so that one kernel serves both.
        solid = self._index.reshape((1,) * (3 - ndim) + labels.shape)
        self._count, sums, first, last = _places(solid, len(found))
        self._order = order = np.argsort(found)
        self.rows: Array = np.zeros(len(found), row_type(ndim, values, channels))
        corner = np.array(origin, np.int64)
        self.rows["label"] = found[order]
        self.rows["count"] = self._count[order]
        self.rows["coordinates"] = sums[order, 3 - ndim :] + corner * self._count[order, None]
        self.rows["first"] = first[order, 3 - ndim :] + corner
        self.rows["last"] = last[order, 3 - ndim :] + corner

    def first_voxels(self, shape: tuple[int, ...]) -> Array:
        """Raster index of each object's first voxel in a volume of this shape; as the rows are sorted."""
        firsts = _first_met(self._index, len(self.rows))[self._order]
        places = np.unravel_index(firsts, self._shape)
        places = tuple(place + start for place, start in zip(places, self._origin, strict=True))
        return np.asarray(np.ravel_multi_index(places, shape), np.int64)

    def add(self, channel: int, voxels: Array) -> None:
        """Take in the intensities of a channel, an array of the block's shape and of a real type."""
        rows, order, index, size = self.rows, self._order, self._index, len(self.rows)
        voxels = np.ascontiguousarray(voxels).reshape(-1)
        if voxels.dtype == bool:
            voxels = voxels.view(np.uint8)
        elif voxels.dtype == np.float16:
            voxels = voxels.astype(np.float32)  # numba knows no half precision; this is exact
        if voxels.dtype.kind == "f":
            total = _sums(index, voxels, np.zeros(size, np.float64))
            rows["sum"][:, channel] = total[order]
        else:
            high, low = _halves(index, voxels, size)
            rows["high"][:, channel], rows["low"][:, channel] = high[order], low[order]
            total = high * 2.0**32 + low
        lowest, highest = _extremes(index, voxels, size)
        rows["min"][:, channel], rows["max"][:, channel] = lowest[order], highest[order]
        # Infinite intensities have no spread; it becomes nan, as in NumPy.
        with np.errstate(invalid="ignore"):
            squares, rest = _squares(index, voxels, total / self._count)
            rows["squares"][:, channel] = (squares - rest * rest / self._count)[order]
            rows["rest"][:, channel] = rest[order]


def merge_rows(rows: Array) -> Array:
    """Make one row of the rows of each object.

    Parameters
    ----------
    rows : ndarray of :func:`row_type`
        Sorted by label; the rows of one label in an order that does not change from run to run.
    """
    starts = np.flatnonzero(np.concatenate(([True], rows["label"][1:] != rows["label"][:-1])))
    merged: Array = np.empty(len(starts), rows.dtype)
    merged["label"] = rows["label"][starts]
    names = rows.dtype.names or ()
    for ufunc, columns in ((np.add, _SUMMED), (np.minimum, _SMALLEST), (np.maximum, _LARGEST)):
        for name in columns:
            if name in names:
                merged[name] = ufunc.reduceat(rows[name], starts, axis=0)
    if "high" in names:
        merged["high"] += merged["low"] >> 32
        merged["low"] &= LOW_HALF
    if "squares" in names:
        # Spread inside the blocks, and of the blocks' means around the object's. Differences of means are
        # taken before what rounding left is added: means of a high ground differ in their last digits only.
        lengths = np.diff(np.append(starts, len(rows)))
        count = rows["count"][:, None]
        with np.errstate(invalid="ignore"):
            mean = np.repeat(totals(merged) / merged["count"][:, None], lengths, axis=0)
            distance = totals(rows) / count - mean + rows["rest"] / count
            left = np.add.reduceat(count * distance, starts, axis=0)
            squares = np.add.reduceat(rows["squares"] + count * distance * distance, starts, axis=0)
            merged["squares"] = squares - left * left / merged["count"][:, None]
            merged["rest"] = left
    return merged


def totals(rows: Array) -> Array:
    """Sums of intensities as float64, rounded once; shape (rows, channels)."""
    if "sum" in (rows.dtype.names or ()):
        return np.asarray(rows["sum"])
    return np.asarray(rows["high"] * 2.0**32 + rows["low"])


def _halves(index: Array, voxels: Array, size: int) -> tuple[Array, Array]:
    """Exact sums of integers, as ``high * 2**32 + low`` with ``0 <= low < 2**32``."""
    high = np.zeros(size, np.int64)
    if voxels.dtype.itemsize == 8:
        parts = voxels.view(np.dtype("<u4")).reshape(-1, 2)
        upper = parts[:, 1] if voxels.dtype.kind == "u" else parts[:, 1].view(np.dtype("<i4"))
        high, low = _sums(index, upper, high), _sums(index, parts[:, 0], np.zeros(size, np.int64))
    else:
        low = _sums(index, voxels, np.zeros(size, np.int64))
    return high + (low >> 32), low & LOW_HALF


@numba.njit(cache=True, nogil=True)
def _slot(keys, places, value):
    """Where a label is, or would be, in the table of labels; its size is a power of two."""
    mask = np.uint64(len(keys) - 1)
    spread = value * np.uint64(0x9E3779B97F4A7C15)
    place = (spread ^ (spread >> np.uint64(32))) & mask
    while places[place] >= 0 and keys[place] != value:
        place = (place + np.uint64(1)) & mask
    return place


@numba.njit(cache=True, nogil=True)
def _number(labels):
    """Number the labels of a block from 0 in the order in which they come; -1 is background."""
    index = np.empty(len(labels), np.int32)
    found = np.empty(1024, np.uint64)
    keys = np.zeros(4096, np.uint64)
    places = np.full(4096, -1, np.int32)
    count = 0
    before = labels[0]
    number = -2
    for i in range(len(labels)):
        label = labels[i]
        # Voxels of an object lie side by side: most of them need no look at the table.
        if number != -2 and label == before:
            index[i] = number
            continue
        before = label
        if label <= 0:
            number = -1
        else:
            value = np.uint64(label)
            place = _slot(keys, places, value)
            if places[place] < 0:
                if count == len(found):
                    larger = np.empty(2 * count, np.uint64)
                    larger[:count] = found
                    found = larger
                    keys = np.zeros(8 * count, np.uint64)
                    places = np.full(8 * count, -1, np.int32)
                    for k in range(count):
                        moved = _slot(keys, places, found[k])
                        keys[moved] = found[k]
                        places[moved] = k
                    place = _slot(keys, places, value)
                keys[place] = value
                places[place] = count
                found[count] = value
                count += 1
            number = places[place]
        index[i] = number
    return index, found[:count].copy()


@numba.njit(cache=True, nogil=True)
def _first_met(index, size):
    """Find where each object is first met; they are numbered in that order."""
    firsts = np.empty(size, np.int64)
    met = 0
    for i in range(len(index)):
        if index[i] == met:
            firsts[met] = i
            met += 1
    return firsts


@numba.njit(cache=True, nogil=True)
def _places(index, size):
    """Voxels, sums of coordinates, first and last coordinates of each object."""
    count = np.zeros(size, np.int64)
    sums = np.zeros((size, 3), np.int64)
    first = np.full((size, 3), np.iinfo(np.int64).max)
    last = np.full((size, 3), -1)
    for z in range(index.shape[0]):
        for y in range(index.shape[1]):
            for x in range(index.shape[2]):
                k = index[z, y, x]
                if k < 0:
                    continue
                count[k] += 1
                sums[k, 0] += z
                sums[k, 1] += y
                sums[k, 2] += x
                first[k, 0] = min(first[k, 0], z)
                first[k, 1] = min(first[k, 1], y)
                first[k, 2] = min(first[k, 2], x)
                last[k, 0] = max(last[k, 0], z)
                last[k, 1] = max(last[k, 1], y)
                last[k, 2] = max(last[k, 2], x)
    return count, sums, first, last


@numba.njit(cache=True, nogil=True)
def _sums(index, voxels, total):
    for i in range(len(index)):
        if index[i] >= 0:
            total[index[i]] += voxels[i]
    return total


@numba.njit(cache=True, nogil=True)
def _extremes(index, voxels, size):
    """Smallest and largest intensity; nan where there is one, as in NumPy."""
    lowest = np.empty(size, voxels.dtype)
    highest = np.empty(size, voxels.dtype)
    seen = np.zeros(size, np.bool_)
    for i in range(len(index)):
        k = index[i]
        if k < 0:
            continue
        value = voxels[i]
        if not seen[k]:
            seen[k] = True
            lowest[k] = value
            highest[k] = value
        else:
            if value < lowest[k] or value != value:
                lowest[k] = value
            if value > highest[k] or value != value:
                highest[k] = value
    return lowest, highest


@numba.njit(cache=True, nogil=True)
def _squares(index, voxels, means):
    """Sums of squared distances from the means, and of the distances: what rounding left in the means."""
    squares = np.zeros(len(means))
    rest = np.zeros(len(means))
    for i in range(len(index)):
        k = index[i]
        if k >= 0:
            distance = np.float64(voxels[i]) - means[k]
            squares[k] += distance * distance
            rest[k] += distance
    return squares, rest
