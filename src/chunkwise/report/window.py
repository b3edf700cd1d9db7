"""Where to look in an image of any size: the plane and the window in which most objects are."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise.report.tally import Boxes
from chunkwise.storage.arrays import Box

__all__ = ["EDGE", "fullest"]

Array = np.ndarray[Any, Any]

#: Voxels of the window's longer side.
EDGE = 800


def fullest(boxes: Boxes, shape: tuple[int, ...]) -> Box:
    """Find the plane that most objects touch, and in it the window that holds the middles of most.

    Parameters
    ----------
    boxes : Boxes
        Of one object or more.
    shape : tuple of int
        Of the volume, two or three axes.

    Returns
    -------
    tuple of slice
        One a spatial axis; of a volume the first is one plane.
    """
    first, last = boxes.arrays()
    before: tuple[slice, ...] = ()
    if len(shape) == 3:
        change = np.zeros(shape[0] + 1, np.int64)
        np.add.at(change, first[:, 0], 1)
        np.add.at(change, last[:, 0] + 1, -1)
        touched = np.cumsum(change)
        best = np.flatnonzero(touched == touched.max())
        plane = int(best[len(best) // 2])
        there = (first[:, 0] <= plane) & (plane <= last[:, 0])
        first, last, before = first[there], last[there], (slice(plane, plane + 1),)
    middles = (first[:, -2:] + last[:, -2:]) // 2
    return (*before, *_window(middles, (shape[-2], shape[-1])))


def _window(middles: Array, shape: tuple[int, int]) -> tuple[slice, slice]:
    """The window with most middles, in steps of a quarter of it."""
    step = EDGE // 4
    cells = [max(1, -(-size // step)) for size in shape]
    counts = np.zeros([n + 4 for n in cells], np.int64)
    np.add.at(counts, tuple((middles // step).T), 1)
    sums = np.zeros([n + 1 for n in counts.shape], np.int64)
    sums[1:, 1:] = counts.cumsum(0).cumsum(1)
    inside = sums[4:, 4:] - sums[:-4, 4:] - sums[4:, :-4] + sums[:-4, :-4]
    found = np.unravel_index(int(np.argmax(inside)), inside.shape)
    slices = []
    for cell, size in zip(found, shape, strict=True):
        start = max(0, min(int(cell) * step, size - EDGE))
        slices.append(slice(start, min(size, start + EDGE)))
    return slices[0], slices[1]
