"""How kernels see a volume: always with three axes, and the part that they compute as six numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["Box", "bounds_of", "inner_of", "solid_of"]

Array = np.ndarray[Any, Any]
Box = tuple[slice, ...]


def inner_of(volume: Array, inner: Box | None) -> Box:
    """The part that is asked for; the whole volume where none is."""
    return tuple(slice(0, size) for size in volume.shape) if inner is None else inner


def solid_of(volume: Array, inner: Box) -> tuple[Array, Box]:
    """A volume as (planes, rows, columns): the rows of a 2-D one are its planes, of one row each."""
    volume = np.ascontiguousarray(volume)
    if volume.ndim == 3:
        return volume, inner
    return volume[:, np.newaxis, :], (inner[0], slice(0, 1), inner[1])


def bounds_of(box: Box) -> tuple[int, ...]:
    """Begin and end along each axis."""
    return tuple(int(edge) for part in box for edge in (part.start, part.stop))
