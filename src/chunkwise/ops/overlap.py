"""The contingency table of two label images: how many voxels each pair of objects shares.

Reference: ``np.unique(np.stack([truth, predicted], axis=-1).reshape(-1, 2), axis=0, return_counts=True)``
without the pair of two backgrounds; as a matrix, ``skimage.metrics.contingency_table``.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise import _kernels

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
    if truth.dtype != predicted.dtype:
        # One kernel a type, not one a pair of types.
        truth, predicted = (np.maximum(labels, 0).astype(np.uint64) for labels in (truth, predicted))
    both = (np.ascontiguousarray(labels).reshape(-1) for labels in (truth, predicted))
    left, right, voxels = _kernels.count_overlaps(*both)
    order = np.lexsort((left, right))
    return left[order], right[order], voxels[order]
