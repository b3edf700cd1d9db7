"""Connected components of one block, and what the merge needs to know of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise import _kernels

__all__ = ["label", "look_up", "relabel", "sizes_and_firsts"]

Array = np.ndarray[Any, Any]


def label(mask: Array, connectivity: int, planes: bool = False) -> Array:
    """Label the connected components of a mask, in no promised order.

    Parameters
    ----------
    mask : ndarray of bool
        2-D or 3-D.
    connectivity : int
        As in ``skimage.measure.label``: 1 .. ndim.
    planes : bool
        Whether nothing is connected with what lies in another plane.

    Returns
    -------
    ndarray of uint32
        0 is background; labels are 1..n without gaps.
    """
    if not mask.any():
        return np.zeros(mask.shape, np.uint32)
    if planes and mask.ndim == 3:
        labels = np.stack([label(plane, connectivity) for plane in mask])
        counts = labels.max(axis=(1, 2))
        before = (np.cumsum(counts) - counts).astype(np.uint32)
        return np.asarray(labels + before[:, np.newaxis, np.newaxis] * mask)
    if sum(size > 1 for size in mask.shape) < 2:
        # A line. connected-components-3d 4.1.1 runs out of its own table on some of these.
        from scipy.ndimage import label as label_line

        return np.asarray(label_line(mask)[0], np.uint32)
    import cc3d

    # 2-D masks go through the 3-D code: the 2-D code for 8 neighbours (4.1.1) labels background voxels
    # of images with an odd number of columns. In one slice, 6 and 26 neighbours are 4 and 8.
    solid = mask.reshape((1,) * (3 - mask.ndim) + mask.shape)
    neighbours: Any = {1: 6, 2: 26 if mask.ndim == 2 else 18, 3: 26}[connectivity]
    return np.asarray(cc3d.connected_components(solid, connectivity=neighbours, out_dtype=np.uint32)).reshape(
        mask.shape
    )


def sizes_and_firsts(labels: Array, origin: tuple[int, ...], shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Count the voxels of each label, and find its first one.

    Parameters
    ----------
    labels : ndarray of uint32
        Of a block; 1..n without gaps.
    origin : tuple of int
        Where the block begins in its volume.
    shape : tuple of int
        Of the volume.

    Returns
    -------
    sizes, firsts : ndarray of int64, shape (n,)
        Number of voxels, and raster index in the volume of the first one.
    """
    # 2-D volumes are 3-D ones of one slice, so that one kernel serves both.
    lead = 3 - labels.ndim
    block = labels.reshape((1,) * lead + labels.shape)
    z, y, x = (0,) * lead + origin
    _, ny, nx = (1,) * lead + shape
    sizes, firsts = np.zeros((2, int(block.max(initial=0))), np.int64)
    _kernels.sizes_and_firsts(block, z, y, x, ny, nx, sizes, firsts)
    return sizes, firsts


def look_up(table: Array, labels: Array, out: Array) -> None:
    """Write ``table[labels]`` into an array, without another one in between.

    Parameters
    ----------
    table : ndarray
        Of the dtype of ``out``; one entry a label.
    labels : ndarray of uint32
    out : ndarray
        Of the labels' shape; may be a view.
    """
    lead = (1,) * (3 - labels.ndim)
    _kernels.look_up(table, labels.reshape(lead + labels.shape), out[(np.newaxis,) * len(lead)])


def relabel(labels: Array, known: Array, new: Array, out: Array) -> None:
    """Write each label's new one into an array; labels may be far apart, so that a table would be long.

    Parameters
    ----------
    labels : ndarray
        0 is background, and stays 0.
    known : ndarray
        Every other label, sorted.
    new : ndarray
        The new label of each, of the dtype of ``out``.
    out : ndarray
        Of the labels' shape, C-contiguous.
    """
    known, new = np.ascontiguousarray(known, np.uint64), np.ascontiguousarray(new)  # columns of a table have gaps
    _kernels.relabel(np.ascontiguousarray(labels).reshape(-1), known, new, out.reshape(-1))
