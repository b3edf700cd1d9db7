"""Parting a component by flows: every voxel follows them, and those that end together are one object.

The idea is that of Cellpose (Stringer, Wang, Michaelos and Pachitariu 2021, doi:10.1038/s41592-020-01018-x): a model
gives each voxel a direction towards the middle of its object. Here every voxel sets out from its own place, by an
offset of 0, and at most ``steps`` times adds ``clip(flow / scale, -1, 1)`` of the voxel in which it is: the one at
``place + rint(offset)``. A step out of the component is not made, and ends the way. Ends that lie near each other
belong together::

    ends  = the voxels in which some voxel ends
    near  = scipy.ndimage.maximum_filter(ends, 2 * (distance // 2) + 1)
    parts = skimage.measure.label(near, connectivity=ndim)[end of the voxel]

What flows say outside of the component is never looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import maximum_filter

from chunkwise import _kernels
from chunkwise.ops.components import label

__all__ = ["BYTES_A_VOXEL", "part_by_flows"]

Array = np.ndarray[Any, Any]

#: What parting holds at most for each voxel of a box, the maps aside (measured: 59 in a plane, of float32).
BYTES_A_VOXEL = 112


def part_by_flows(mask: Array, flows: Array, scale: float, steps: int, distance: int) -> tuple[Array, int]:
    """Part a component by flows.

    Parameters
    ----------
    mask : ndarray of bool
        2-D or 3-D, the component alone.
    flows : ndarray of float, shape (ndim, *mask.shape)
        In the order of the axes.
    scale : float
        Length of a flow that stands for one voxel.
    steps : int
        A voxel goes at most so many times.
    distance : int
        Ends no further apart than this, in voxels along every axis, are one object.

    Returns
    -------
    parts : ndarray of int32
        0 outside the component, 1..n inside.
    n : int
        Number of parts, 1 or more.
    """
    lead = (1,) * (3 - mask.ndim)
    solid = mask.reshape(lead + mask.shape)
    moves = np.zeros((3, *solid.shape), np.float64 if flows.dtype == np.float64 else np.float32)
    np.clip(np.nan_to_num(flows / flows.dtype.type(scale)), -1, 1, out=moves[3 - mask.ndim :].reshape(flows.shape))
    ends = np.zeros(mask.shape, np.int64)
    _kernels.follow(solid, moves, steps, ends.reshape(solid.shape))
    reached = np.zeros(mask.shape, bool)
    reached.ravel()[ends[mask]] = True
    groups = label(maximum_filter(reached, 2 * (distance // 2) + 1, mode="constant", cval=0), mask.ndim)
    used, numbers = np.unique(groups.ravel()[ends[mask]], return_inverse=True)
    parts = np.zeros(mask.shape, np.int32)
    parts[mask] = numbers + 1
    return parts, len(used)
