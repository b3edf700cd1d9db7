"""Labels by runs: voxels of an object lie side by side, so that far fewer numbers are sorted than there are voxels."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["count_labels", "replace_labels", "runs_of"]

Array = np.ndarray[Any, Any]


def runs_of(labels: Array) -> tuple[Array, Array, Array]:
    """Divide labels, in the order of memory, into runs of equal ones.

    Parameters
    ----------
    labels : ndarray
        Of integers or bool.

    Returns
    -------
    ids : ndarray
        The labels that there are, the lowest first, 0 among them.
    which : ndarray of int
        Of each run, its place in ``ids``.
    lengths : ndarray of int64
        Of each run, its voxels.
    """
    flat = np.ascontiguousarray(labels).reshape(-1)
    starts = np.flatnonzero(np.concatenate((np.ones(min(1, flat.size), np.bool_), flat[1:] != flat[:-1])))
    ids, which = np.unique(flat[starts], return_inverse=True)
    return ids, which, np.diff(starts, append=flat.size)


def count_labels(labels: Array) -> tuple[Array, Array]:
    """Count the voxels of every label; as ``numpy.unique(labels, return_counts=True)``."""
    ids, which, lengths = runs_of(labels)
    sizes = np.zeros(len(ids), np.int64)
    np.add.at(sizes, which, lengths)
    return ids, sizes


def replace_labels(runs: tuple[Array, Array, Array], others: Array, shape: tuple[int, ...]) -> Array:
    """Write ``others`` in the place of the ``ids`` of some runs; of ``shape``."""
    _, which, lengths = runs
    return np.repeat(others[which], lengths).reshape(shape)
