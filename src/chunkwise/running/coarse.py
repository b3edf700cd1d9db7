"""A whole volume at a level that is small enough to be read at once: where a preview takes statistics from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, prod
from typing import Any

import numpy as np

from chunkwise.ngff.model import Image, Level
from chunkwise.ngff.volumes import Selection
from chunkwise.storage.arrays import Box

__all__ = ["Coarse", "cost_of", "find_coarse"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Coarse:
    """Voxels that statistics are taken from: all that was selected, at its own level or a coarser one, or a part."""

    voxels: Array
    """Spatial axes only."""
    factors: tuple[float, ...]
    """Voxels of the chosen level that one of these stands for, along each axis."""
    where: str
    """Such as ``the whole image at level 3``."""
    same: bool
    """Whether these are the very voxels that the full run takes its statistics from."""

    def words(self, what: str) -> str:
        """Say where a statistic, such as ``Threshold 37``, comes from."""
        if self.same:
            return f"{what}, from {self.where}, as in the full run."
        return f"{what}, estimated from {self.where}; the full run takes it from all voxels, so it may differ."


def cost_of(image: Image, level: Level, box: Box) -> int:
    """Bytes of the chunks, which are decoded whole, that a box of the spatial axes touches at one time and channel."""
    parts = iter(box)
    touched = []
    for axis, size, chunk in zip(image.axis_names, level.shape, level.chunks, strict=True):
        part = next(parts) if axis in "zyx" else slice(0, 1)
        count = -(-part.stop // chunk) - part.start // chunk
        touched.append(count * min(chunk, size))
    return prod(touched) * np.dtype(level.dtype).itemsize


def find_coarse(selection: Selection, most: int) -> Coarse | None:
    """Read the first volume of a selection at the finest level, from its own on, of which it takes few enough bytes.

    Parameters
    ----------
    selection : Selection
        Of which the first channel and the first time point are read.
    most : int
        Bytes of decoded chunks.

    Returns
    -------
    Coarse or None
        None where the image has no level that is small enough.
    """
    image, source = selection.image, selection.source
    start = next(index for index, level in enumerate(image.levels) if level.path == selection.level.path)
    full = _spatial(image, selection.level)
    whole = "the whole image" if source.shape == full else "the whole region"
    for index, level in enumerate(image.levels[start:], start):
        shape = _spatial(image, level)
        factors = tuple(a / b for a, b in zip(full, shape, strict=True))
        box = tuple(
            slice(min(int(o / f), size - 1), min(size, ceil((o + n) / f)))
            for o, n, f, size in zip(source.origin, source.shape, factors, shape, strict=True)
        )
        if cost_of(image, level, box) > most:
            continue
        there = replace(
            source,
            array=image.location.child(level.path),
            origin=tuple(part.start for part in box),
            shape=tuple(part.stop - part.start for part in box),
            volumes=1,
            dtype=level.dtype,
        )
        same = index == start
        where = whole if same else f"{whole} at level {index}"
        return Coarse(there.read(0, there.bounds), factors, where, same)
    return None


def _spatial(image: Image, level: Level) -> tuple[int, ...]:
    return tuple(size for axis, size in zip(image.axis_names, level.shape, strict=True) if axis in "zyx")
