"""The Euler number of every object, as a sum that blocks can part among themselves.

Seen as a body of closed unit cubes, an object has the Euler number ``corners - edges + faces - cubes``.
Every corner of the lattice owns itself, and the edges, faces and the cube that go from it in the
direction of larger coordinates; which of them belong to the body is seen from the 2 x 2 x 2 voxels
around the corner. So each corner adds a number that a table of 256 entries holds, and a block adds
what its own corners add: it has to see one voxel before its first ones, and none behind its last.
A plane is one slice of a volume, and its body has the same number.

Reference: ``skimage.measure.euler_number(object, connectivity=ndim)``.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from chunkwise import _kernels
from chunkwise.ops.object_kernels import number_objects

__all__ = ["euler_numbers"]

Array = np.ndarray[Any, Any]


def _table() -> Array:
    """What a corner adds; bit ``4 z + 2 y + x`` of the entry's number is the voxel there, 0 before the corner."""
    table = np.zeros(256, np.int64)
    for code in range(256):
        voxels = np.array([code >> bit & 1 for bit in range(8)]).reshape(2, 2, 2)
        for extends in product((False, True), repeat=3):
            # A cell lies between all voxels around it: those on both sides of the corner, but for the axes
            # along which it extends.
            around = voxels[tuple(slice(1 if along else 0, 2) for along in extends)]
            table[code] += (-1) ** sum(extends) * around.any()
    return table


_TABLE = _table()


def euler_numbers(labels: Array) -> tuple[Array, Array]:
    """Sum up what the corners inside an array of labels add.

    Parameters
    ----------
    labels : ndarray
        Of an integer type, 2-D or 3-D. Only corners with voxels on every side count: pad with
        background where the volume ends, with the neighbour's voxels where the block begins.

    Returns
    -------
    labels : ndarray of uint64
        The objects, sorted.
    numbers : ndarray of int64
        What each of them gets.
    """
    index, found = number_objects(labels)
    numbers = np.zeros(len(found), np.int64)
    _kernels.corners(index, _TABLE, numbers)
    order = np.argsort(found)
    return found[order], numbers[order]
