"""What is known of the objects in a view: size, place and box of each, where the labels are small enough to count."""

from __future__ import annotations

import base64
import zlib
from math import prod
from typing import Any

import numpy as np

from chunkwise.ngff.volumes import VolumeSource
from chunkwise.report.view.tiles import EXACT

__all__ = ["COLUMNS", "MOST_OBJECTS", "count_objects", "countable", "packed"]

Array = np.ndarray[Any, Any]

#: Voxels that are counted for one page, of all label images and time points together.
MOST_VOXELS = 2**25

#: Objects of one time point that a page lists.
MOST_OBJECTS = 20_000

#: Voxels that are read at once.
AT_ONCE = 2**23

#: Number, voxels, mean place (z, y, x), first voxel of the box, and the one after its last.
COLUMNS = ("label", "num_pixels", "z", "y", "x", "z0", "y0", "x0", "z1", "y1", "x1")


def count_objects(source: VolumeSource, time: int) -> Array:
    """Count the voxels of every object of a volume.

    Parameters
    ----------
    source : VolumeSource
        Of labels, seen as planes (z, y, x).
    time : int
        Time point.

    Returns
    -------
    ndarray
        float64, one row an object, in the order of their numbers, with :data:`COLUMNS`.
    """
    depth, height, width = source.shape
    rows = max(1, min(height, AT_ONCE // width))
    deep = max(1, min(depth, AT_ONCE // (width * rows)))
    found: dict[int, Array] = {}
    for z in range(0, depth, deep):
        for y in range(0, height, rows):
            box = (slice(z, min(z + deep, depth)), slice(y, min(y + rows, height)), slice(0, width))
            for label, row in _of_block(source.read(time, box), (z, y, 0)):
                found[label] = row if label not in found else _joined(found[label], row)
    table = np.array([[float(label), *_means(row)] for label, row in sorted(found.items()) if abs(label) <= EXACT])
    return table.reshape(-1, len(COLUMNS))


def _of_block(block: Array, origin: tuple[int, ...]) -> list[tuple[int, Array]]:
    """Voxels, sums of places, and box of the objects in a block."""
    places = np.flatnonzero(block)
    if not places.size:
        return []
    labels, owner = np.unique(block.ravel()[places], return_inverse=True)
    order = np.argsort(owner, kind="stable")
    starts = np.flatnonzero(np.diff(owner[order], prepend=-1))
    along = [axis[order] + start for axis, start in zip(np.unravel_index(places, block.shape), origin, strict=True)]
    columns = [np.diff(np.append(starts, len(order)))]
    columns += [np.add.reduceat(axis, starts) for axis in along]
    columns += [np.minimum.reduceat(axis, starts) for axis in along]
    columns += [np.maximum.reduceat(axis, starts) + 1 for axis in along]
    return list(zip(map(int, labels), np.array(columns, np.float64).T, strict=True))


def _joined(one: Array, other: Array) -> Array:
    return np.concatenate((one[:4] + other[:4], np.minimum(one[4:7], other[4:7]), np.maximum(one[7:], other[7:])))


def _means(row: Array) -> list[float]:
    return [row[0], *(row[1:4] / row[0]), *row[4:]]


def countable(source: VolumeSource, times: int) -> bool:
    """Whether a label image is small enough for all its objects to be counted."""
    return prod(source.shape) * times <= MOST_VOXELS


def packed(table: Array) -> dict[str, Any]:
    """Pack the first rows of a table for the page: column by column, float64, zlib, base64."""
    shown = np.ascontiguousarray(table[:MOST_OBJECTS].T, "<f8")
    content = base64.b64encode(zlib.compress(shown.tobytes(), 9)).decode()
    return {"count": len(table), "rows": shown.shape[1], "columns": content}
