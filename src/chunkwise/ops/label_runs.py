"""Labels by runs: voxels of an object lie side by side, so that far fewer numbers are sorted than there are voxels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

__all__ = ["count_labels", "replace_labels"]

Array = np.ndarray[Any, Any]

#: Voxels that are looked at together: where each is another object, runs take many times the voxels' room.
AT_ONCE: Final = 2**18


def count_labels(labels: Array) -> tuple[Array, Array]:
    """Count the voxels of every label; as ``numpy.unique(labels, return_counts=True)``."""
    flat = np.ascontiguousarray(labels).reshape(-1)
    found, sizes = [], []
    for start in range(0, flat.size, AT_ONCE):
        ids, which, lengths = _runs(flat[start : start + AT_ONCE])
        found.append(ids)
        sizes.append(np.bincount(which, lengths, len(ids)).astype(np.int64))
    ids, which = np.unique(np.concatenate(found), return_inverse=True)
    counts = np.zeros(len(ids), np.int64)
    np.add.at(counts, which, np.concatenate(sizes))
    return ids, counts


def replace_labels(labels: Array, becomes: Callable[[Array], Array], dtype: Any) -> Array:
    """Write others in the place of labels.

    Parameters
    ----------
    labels : ndarray
        Of integers or bool.
    becomes : callable
        Takes labels, the lowest first, 0 among them where it is there; gives what stands in the place of each.
    dtype : dtype
        Of the result.

    Returns
    -------
    ndarray
        Of the labels' shape.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    out = np.empty(flat.size, dtype)
    for start in range(0, flat.size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        ids, which, lengths = _runs(flat[part])
        out[part] = np.repeat(becomes(ids)[which], lengths)
    return out.reshape(labels.shape)


def _runs(flat: Array) -> tuple[Array, Array, Array]:
    """Divide labels into runs of equal ones: the labels that there are, and which one and how long each run is."""
    starts = np.flatnonzero(np.concatenate(([True], flat[1:] != flat[:-1])))
    ids, which = np.unique(flat[starts], return_inverse=True)
    return ids, which, np.diff(starts, append=flat.size)
