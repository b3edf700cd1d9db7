"""The contingency table of two label images: how many voxels each pair of objects shares.

Reference: ``np.unique(np.stack([truth, predicted], axis=-1).reshape(-1, 2), axis=0, return_counts=True)``
without the pair of two backgrounds; as a matrix, ``skimage.metrics.contingency_table``.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

__all__ = ["count_overlaps"]

Array = np.ndarray[Any, Any]


def count_overlaps(truth: Array, predicted: Array) -> tuple[Array, Array, Array]:
    """Count the voxels of every pair of labels.

    Parameters
    ----------
    truth, predicted : ndarray
        Of one shape and of integer types; what is not above 0 is background, and counts as 0.

    Returns
    -------
    truth, predicted : ndarray of uint64, shape (n,)
        The pairs that occur, ordered by ``predicted``, then ``truth``; never both 0.
    voxels : ndarray of int64, shape (n,)
        How often each occurs.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"the two label images have to be of one shape, not {truth.shape} and {predicted.shape}")
    left, right, voxels = _count(np.ascontiguousarray(truth).reshape(-1), np.ascontiguousarray(predicted).reshape(-1))
    order = np.lexsort((left, right))
    return left[order], right[order], voxels[order]


@numba.njit(cache=True, nogil=True)
def _slot(left, right, voxels, a, b):
    """Where a pair is, or would be, in the table; its size is a power of two, and a free place has no voxels."""
    mask = np.uint64(len(voxels) - 1)
    spread = (a * np.uint64(0x9E3779B97F4A7C15) ^ (b + (a >> np.uint64(31)))) * np.uint64(0xC2B2AE3D27D4EB4F)
    place = (spread ^ (spread >> np.uint64(32))) & mask
    while voxels[place] > 0 and (left[place] != a or right[place] != b):
        place = (place + np.uint64(1)) & mask
    return place


@numba.njit(cache=True, nogil=True)
def _count(truth, predicted):
    size = 1024
    left = np.zeros(size, np.uint64)
    right = np.zeros(size, np.uint64)
    voxels = np.zeros(size, np.int64)
    used = 0
    i = 0
    while i < len(truth):
        # Voxels of a pair lie side by side: a run of them needs one look at the table.
        here, there, begin = truth[i], predicted[i], i
        i += 1
        while i < len(truth) and truth[i] == here and predicted[i] == there:
            i += 1
        if here <= 0 and there <= 0:
            continue
        a = np.uint64(here) if here > 0 else np.uint64(0)
        b = np.uint64(there) if there > 0 else np.uint64(0)
        place = _slot(left, right, voxels, a, b)
        if voxels[place] == 0:
            left[place] = a
            right[place] = b
            used += 1
        voxels[place] += i - begin
        if 2 * used > size:
            old_left, old_right, old_voxels = left, right, voxels
            size *= 2
            left = np.zeros(size, np.uint64)
            right = np.zeros(size, np.uint64)
            voxels = np.zeros(size, np.int64)
            for k in range(len(old_voxels)):
                if old_voxels[k] > 0:
                    place = _slot(left, right, voxels, old_left[k], old_right[k])
                    left[place] = old_left[k]
                    right[place] = old_right[k]
                    voxels[place] = old_voxels[k]
    found = np.flatnonzero(voxels)
    return left[found], right[found], voxels[found]
