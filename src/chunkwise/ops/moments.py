"""What one block says of its objects: counts, coordinates, boxes, and sums of intensities.

Everything here is additive, so that the rows of an object's blocks can be merged later. Coordinates
are summed relative to the block's corner and as integers, so that nothing overflows or is rounded;
sums of integers are kept in two halves of 32 bits for the same reason. Of integers of up to 16 bits squares
are summed in this way, too, so that what is made of them is the same whatever the blocks. Of others they are
summed as distances from the block's own mean, because plain squares overflow int64 and cancel in float64.

Reference: ``skimage.measure.regionprops_table`` on the whole volume.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ops import object_kernels as kernels
from chunkwise.ops.second import SAFE, moved, products_type

__all__ = ["BlockMoments", "add_euler", "deviations", "label_starts", "merge_rows", "row_type", "totals"]

Array = np.ndarray[Any, Any]

LOW_HALF = np.int64(0xFFFFFFFF)

#: Voxels that are squared at once, so that their squares take no room.
SQUARED = 2**18

#: How columns of several rows of one object become one.
_SUMMED = ("count", "coordinates", "high", "low", "square_high", "square_low", "sum")
_SMALLEST = ("first", "min")
_LARGEST = ("last", "max")


def row_type(ndim: int, values: str | None, channels: int, more: tuple[str, ...] = ()) -> np.dtype[Any]:
    """The row of one object in one block.

    Parameters
    ----------
    ndim : int
        Number of axes of the volume.
    values : str or None
        How the image's values are kept, ``u8``, ``i8`` or ``f8``; None where there is no image.
    channels : int
        Number of channels of the image.
    more : tuple of str
        What is summed up besides: ``second``, ``weighted``, ``euler``; ``box`` for the corner alone; and
        ``narrow`` where the image's voxels are integers of up to 16 bits.

    Returns
    -------
    dtype
        ``label``; ``count`` of voxels; ``coordinates``, their sum; ``first`` and ``last`` coordinate (the
        last included). For each channel ``high`` and ``low``, the sum as ``high * 2**32 + low`` (integers),
        or ``sum`` (floats); ``min``, ``max``; with ``narrow`` the halves ``square_high`` and ``square_low`` of the
        sum of squares, else ``squares``, the sum of squared distances from the mean, and ``rest``, what rounding
        left out of the mean, times the count. With ``more``: ``corner``, the point that
        the next two are relative to; for ``second`` ``products_high`` and ``products_low``, the sums of products
        of two coordinates (:mod:`chunkwise.ops.second`); for ``weighted`` ``weighted``, the sums of coordinates
        times intensity, by channel and axis; for ``euler`` ``euler``.
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
        fields += [("min", values, (channels,)), ("max", values, (channels,))]
        squares, kind = (("square_high", "square_low"), "i8") if "narrow" in more else (("squares", "rest"), "f8")
        fields += [(name, kind, (channels,)) for name in squares]
    if set(more) - {"euler", "narrow"}:
        fields.append(("corner", "i8", (ndim,)))
    if "second" in more:
        fields += products_type(ndim)
    if "weighted" in more:
        fields.append(("weighted", "f8", (channels, ndim)))
    if "euler" in more:
        fields.append(("euler", "i8"))
    return np.dtype(fields)


class BlockMoments:
    """The objects of one block: made of the labels, then filled channel by channel.

    Parameters
    ----------
    labels : ndarray
        Of an integer type, 2-D or 3-D; what is not above 0 is background.
    origin : tuple of int
        Where the block begins in its volume.
    values, channels, more
        As for :func:`row_type`.

    Attributes
    ----------
    rows : ndarray of :func:`row_type`
        One row an object, sorted by label.
    """

    def __init__(
        self,
        labels: Array,
        origin: tuple[int, ...],
        values: str | None = None,
        channels: int = 0,
        more: tuple[str, ...] = (),
    ) -> None:
        ndim = labels.ndim
        if "second" in more and max(labels.shape) ** 2 * max(labels.size, 2 * max(labels.shape)) >= 2**63:
            raise InputError(
                f"Blocks of {max(labels.shape)} voxels are too long for exact moments; give a smaller --block."
            )
        self._origin, self._shape, self._more = origin, labels.shape, more
        solid, found = kernels.number_objects(labels)
        self._solid, self._index = solid, solid.reshape(-1)
        self._count, sums, first, last, products = kernels.places(solid, len(found), "second" in more)
        self._order = order = np.argsort(found)
        self.rows: Array = np.zeros(len(found), row_type(ndim, values, channels, more))
        corner = np.array(origin, np.int64)
        self.rows["label"] = found[order]
        self.rows["count"] = self._count[order]
        self.rows["coordinates"] = sums[order, 3 - ndim :] + corner * self._count[order, None]
        self.rows["first"] = first[order, 3 - ndim :] + corner
        self.rows["last"] = last[order, 3 - ndim :] + corner
        if "corner" in (self.rows.dtype.names or ()):
            self.rows["corner"] = corner
        if "second" in more:
            # The kernel's pairs are zz zy zx yy yx xx; a plane has the last three.
            products = products[order, 0 if ndim == 3 else 3 :]
            self.rows["products_high"], self.rows["products_low"] = products >> 32, products & LOW_HALF

    def first_voxels(self, shape: tuple[int, ...]) -> Array:
        """Raster index of each object's first voxel in a volume of this shape; as the rows are sorted."""
        firsts = kernels.first_met(self._index, len(self.rows))[self._order]
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
            voxels = voxels.astype(np.float32)  # kernels know no half precision; this is exact
        if voxels.dtype.kind == "f":
            total = kernels.sums(index, voxels, np.zeros(size, np.float64))
            rows["sum"][:, channel] = total[order]
        else:
            high, low = _halves(index, voxels, size)
            rows["high"][:, channel], rows["low"][:, channel] = high[order], low[order]
            total = high * 2.0**32 + low
        lowest, highest = kernels.extremes(index, voxels, size)
        rows["min"][:, channel], rows["max"][:, channel] = lowest[order], highest[order]
        if "narrow" in self._more:
            squares = _squares(index, voxels, size)[order]
            rows["square_high"][:, channel], rows["square_low"][:, channel] = squares >> 32, squares & LOW_HALF
        # Infinite intensities have no spread; it becomes nan, as in NumPy.
        with np.errstate(invalid="ignore"):
            if "squares" in (rows.dtype.names or ()):
                squares, rest = kernels.squares(index, voxels, total / self._count)
                rows["squares"][:, channel] = (squares - rest * rest / self._count)[order]
                rows["rest"][:, channel] = rest[order]
            if "weighted" in self._more:
                sums = kernels.weighted(self._solid, voxels.reshape(self._solid.shape), size)
                rows["weighted"][:, channel] = sums[order, 3 - len(self._shape) :]


def add_euler(rows: Array, labels: Array, numbers: Array) -> Array:
    """Give rows their part of the Euler number, and add rows without a voxel for objects that have only that here.

    Parameters
    ----------
    rows : ndarray of :func:`row_type`
        Of a block, sorted by label.
    labels, numbers : ndarray
        As :func:`chunkwise.ops.euler.euler_numbers` returns them.
    """
    places = np.searchsorted(rows["label"], labels)
    here = np.zeros(len(labels), bool)
    here[places < len(rows)] = rows["label"][places[places < len(rows)]] == labels[places < len(rows)]
    rows["euler"][places[here]] = numbers[here]
    outside = ~here & (numbers != 0)
    more: Array = np.zeros(int(outside.sum()), rows.dtype)
    more["label"], more["euler"] = labels[outside], numbers[outside]
    joined = np.concatenate([rows, more])
    return joined[np.argsort(joined["label"], kind="stable")]


def label_starts(rows: Array) -> Array:
    """Where the rows of each label begin, in rows that are sorted by label."""
    return np.flatnonzero(np.concatenate(([True], rows["label"][1:] != rows["label"][:-1])))


def merge_rows(rows: Array) -> Array:
    """Make one row of the rows of each object.

    Parameters
    ----------
    rows : ndarray of :func:`row_type`
        Sorted by label; the rows of one label in an order that does not change from run to run.
    """
    names = rows.dtype.names or ()
    euler = None
    if "euler" in names:
        euler = np.add.reduceat(rows["euler"], label_starts(rows))
        rows = rows[rows["count"] > 0]  # the others have nothing else to say
    starts = label_starts(rows)
    merged: Array = np.empty(len(starts), rows.dtype)
    merged["label"] = rows["label"][starts]
    if euler is not None:
        merged["euler"] = euler
    for ufunc, columns in ((np.add, _SUMMED), (np.minimum, _SMALLEST), (np.maximum, _LARGEST)):
        for name in columns:
            if name in names:
                merged[name] = ufunc.reduceat(rows[name], starts, axis=0)
    for high, low in (("high", "low"), ("square_high", "square_low")):
        if high in names:
            merged[high] += merged[low] >> 32
            merged[low] &= LOW_HALF
    lengths = np.diff(np.append(starts, len(rows)))
    if "corner" in names:
        # From now on relative to the corner of the object's own box: the same numbers, whatever the blocks.
        merged["corner"] = merged["first"]
        away = rows["corner"] - np.repeat(merged["first"], lengths, axis=0)
        if "products_high" in names:
            upper, lower = (np.add.reduceat(half, starts, axis=0) for half in moved(rows, away))
            merged["products_high"], merged["products_low"] = upper + (lower >> 32), lower & LOW_HALF
        if "weighted" in names:
            with np.errstate(invalid="ignore"):
                weighted = rows["weighted"] + away[:, None, :] * totals(rows)[:, :, None]
                merged["weighted"] = np.add.reduceat(weighted, starts, axis=0)
    if "squares" in names:
        # Spread inside the blocks, and of the blocks' means around the object's. Differences of means are
        # taken before what rounding left is added: means of a high ground differ in their last digits only.
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


def deviations(rows: Array, channel: int) -> Array:
    """Standard deviations of intensities, of merged rows; of exact sums, so that only the end is rounded."""
    count = rows["count"]
    if "squares" in (rows.dtype.names or ()):
        # Rounding may leave a little less than nothing.
        return np.asarray(np.sqrt(np.maximum(rows["squares"][:, channel], 0) / count))
    low, high = (rows[name][:, channel].astype(np.int64) for name in ("min", "max"))
    # From the least voxel on, products of sums are small. A sum of squares, and what is taken from it, has 32 bits more
    # than the count, and is doubled.
    small = (count < 2**28) & ((count * (high - low).astype(np.float64)) ** 2 < SAFE)
    parts = count, low, *(rows[name][:, channel] for name in ("high", "low", "square_high", "square_low"))
    spread = np.empty(len(rows))
    spread[small] = _spread(*(part[small] for part in parts))
    spread[~small] = _spread(*(part[~small].astype(object) for part in parts)).astype(np.float64)
    return np.sqrt(spread)


def _spread(count: Array, least: Array, high: Array, low: Array, square_high: Array, square_low: Array) -> Array:
    """Variances of integers, of int64 that do not overflow, or of Python's."""
    total, squares = high * 2**32 + low, square_high * 2**32 + square_low
    squares = squares - 2 * least * total + count * least * least
    total = total - count * least
    return np.asarray((count * squares - total * total) / (count * count))


def _squares(index: Array, voxels: Array, size: int) -> Array:
    """Sums of squares of integers of up to 16 bits: exact, as no block has so many voxels that they overflow."""
    found = np.zeros(size, np.int64)
    for first in range(0, len(voxels), SQUARED):
        part = voxels[first : first + SQUARED].astype(np.int32)
        # 65535 squared is too much for 31 bits, and just fits into the 32 that it is read as.
        found = kernels.sums(index[first : first + SQUARED], (part * part).view(np.uint32), found)
    return found


def _halves(index: Array, voxels: Array, size: int) -> tuple[Array, Array]:
    """Exact sums of integers, as ``high * 2**32 + low`` with ``0 <= low < 2**32``."""
    high = np.zeros(size, np.int64)
    if voxels.dtype.itemsize == 8:
        parts = voxels.view(np.dtype("<u4")).reshape(-1, 2)
        upper = parts[:, 1] if voxels.dtype.kind == "u" else parts[:, 1].view(np.dtype("<i4"))
        high, low = kernels.sums(index, upper, high), kernels.sums(index, parts[:, 0], np.zeros(size, np.int64))
    else:
        low = kernels.sums(index, voxels, np.zeros(size, np.int64))
    return high + (low >> 32), low & LOW_HALF
