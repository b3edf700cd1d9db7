"""What the voxels of an array add up to, gathered block by block: numbers that a test can hold against the array.

Minimum, maximum and sum say what is there; ``position_sum`` says also where: every voxel's raw bits, as an unsigned
integer, times its index in the whole array (in C order, from 1), modulo 2**64. Two voxels that change places change
it. It is no digest: who wants to can make two arrays with the same one.

Nothing depends on how the array was parted into blocks, nor on their order: sums of integers are whole numbers, those
of floats exact fractions.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np

from chunkwise import _kernels
from chunkwise.ops.exact_sum import exact_sum

__all__ = ["Content", "combine", "summarise", "zeros"]

Array = np.ndarray[Any, Any]
Number = int | float

#: Bytes of voxels that are gone over together, so that they are read from memory once.
AT_ONCE = 2**19


@dataclass(frozen=True)
class Content:
    """What some voxels of an array add up to; infinities and what is not a number count for the last three only."""

    minimum: Number | None
    """None where no voxel is finite; so is ``maximum``."""
    maximum: Number | None
    sum: int | Fraction
    position_sum: int
    """Modulo 2**64."""
    voxels: int
    not_finite: int = 0

    def to_json(self) -> list[Any]:
        """Return a short row of JSON values, from which :meth:`from_json` makes it again."""
        total = self.sum if isinstance(self.sum, int) else str(self.sum)
        return [self.minimum, self.maximum, total, self.position_sum, self.voxels, self.not_finite]

    @classmethod
    def from_json(cls, row: list[Any]) -> Content:
        """Undo :meth:`to_json`."""
        minimum, maximum, total, *others = row
        return cls(minimum, maximum, Fraction(total) if isinstance(total, str) else total, *others)

    def facts(self) -> dict[str, Any]:
        """Say it for people and other programs: the sum of floats rounded once, to float64.

        ``position_sum`` is text of 16 hexadecimal digits, because many a reader of JSON rounds numbers beyond 2**53.
        What is not known is left out: a minimum and a maximum where nothing is finite, a sum beyond float64.
        """
        known: dict[str, Any] = {"voxels": self.voxels}
        if self.minimum is not None:
            known |= {"minimum": self.minimum, "maximum": self.maximum}
        with suppress(OverflowError):
            known["sum"] = self.sum if isinstance(self.sum, int) else float(self.sum)
        known["position_sum"] = f"{self.position_sum:016x}"
        return known | ({"not_finite": self.not_finite} if self.not_finite else {})


def combine(a: Content, b: Content) -> Content:
    """Add up the contents of two parts of an array; associative and commutative."""
    minima = [part.minimum for part in (a, b) if part.minimum is not None]
    maxima = [part.maximum for part in (a, b) if part.maximum is not None]
    return Content(
        min(minima, default=None),
        max(maxima, default=None),
        a.sum + b.sum,
        (a.position_sum + b.position_sum) % 2**64,
        a.voxels + b.voxels,
        a.not_finite + b.not_finite,
    )


def zeros(dtype: str, voxels: int) -> Content:
    """The content of voxels that are all 0, without having them."""
    if np.dtype(dtype).kind == "f":
        return Content(0.0, 0.0, Fraction(0), 0, voxels)
    return Content(0, 0, 0, 0, voxels)


def summarise(data: Array, box: tuple[slice, ...], shape: tuple[int, ...]) -> Content:
    """Add up a box of an array.

    Parameters
    ----------
    data : ndarray
        The box's voxels: integers, bool, or floats of up to 64 bits.
    box : tuple of slice
        Where it lies in the array, along every axis.
    shape : tuple of int
        Of the whole array.

    Returns
    -------
    Content
        For floats, -0.0 counts as 0.0 in ``minimum`` and ``maximum``.
    """
    found = zeros(data.dtype.name, 0)
    if not data.size:
        return found
    width = data.shape[-1]
    rows = np.ascontiguousarray(data).reshape(-1, width)
    places = _places(box, shape)
    step = max(1, AT_ONCE // (width * data.itemsize))
    parts = [_of_rows(rows[i : i + step], places[i : i + step]) for i in range(0, len(rows), step)]
    for part in parts:
        found = combine(found, part) if found.voxels else part
    return found


def _places(box: tuple[slice, ...], shape: tuple[int, ...]) -> Array:
    """The index in the whole array, from 1, of the first voxel of each row of a box."""
    places = np.array([box[-1].start + 1], np.uint64)
    for axis, part in enumerate(box[:-1]):
        steps = np.arange(part.start, part.stop, dtype=np.uint64) * np.uint64(prod(shape[axis + 1 :]))
        places = (places[:, np.newaxis] + steps).ravel()
    return places


def _of_rows(rows: Array, places: Array) -> Content:
    size = rows.dtype.itemsize
    low, high, position = _kernels.content_sums(rows.view(f"u{size}"), places)
    if rows.dtype.kind == "f":
        finite = np.isfinite(rows)
        values = rows if finite.all() else rows[finite]
        others = rows.size - values.size
        if not values.size:
            return Content(None, None, Fraction(0), position, rows.size, others)
        # -0.0 + 0.0 is 0.0.
        ends = float(values.min()) + 0.0, float(values.max()) + 0.0
        return Content(*ends, exact_sum(values).total(), position, rows.size, others)
    values = rows.view("u1") if rows.dtype.kind == "b" else rows
    minimum, maximum, total = int(values.min()), int(values.max()), low + (high << 64)
    if minimum < 0:
        total -= int(np.count_nonzero(rows < 0)) << (8 * size)
    return Content(minimum, maximum, total, position, rows.size)
