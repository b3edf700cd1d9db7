"""Joining labels across blocks: faces, edges and corners, by union-find on prefix-summed ids.

A block is labelled on its own, 1..n. What it hands on is small: how many voxels each label has,
where its first voxel lies, and the labels on the block's faces. Two blocks are joined where
voxels of both touch under the connectivity; a whole run's labels then get their final ids in the
raster order of their first voxel, so that the numbering depends on the voxels alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numba
import numpy as np

__all__ = ["Numbering", "component_roots", "face", "number_components", "touching_pairs"]

Array = np.ndarray[Any, Any]


def face(labels: Array, direction: tuple[int, ...]) -> Array:
    """The layer of a block that faces a direction: a face, an edge or a corner.

    Parameters
    ----------
    labels : ndarray
        Of a block, or a face of it that still has every axis.
    direction : tuple of int
        -1, 0 or 1 an axis.

    Returns
    -------
    ndarray
        With the same number of axes; those that the direction moves along have length 1.
    """
    return labels[tuple(slice(None) if d == 0 else slice(0, 1) if d < 0 else slice(-1, None) for d in direction)]


def touching_pairs(here: Array, there: Array, direction: tuple[int, ...], connectivity: int) -> Array:
    """Pairs of labels that touch across the border of two blocks.

    Parameters
    ----------
    here, there : ndarray
        Facing layers of the block and of its neighbour in ``direction``, of the same shape.
    direction : tuple of int
        -1, 0 or 1 an axis.
    connectivity : int
        As in ``skimage.measure.label``: how many axes a step may move along at once.

    Returns
    -------
    ndarray, shape (n, 2)
        Distinct pairs (label here, label there), both not 0.
    """
    moved = sum(1 for d in direction if d)
    found = []
    for shift in product(*[(0,) if d else (-1, 0, 1) for d in direction]):
        if moved + sum(1 for s in shift if s) > connectivity:
            continue
        a = here[tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, here.shape, strict=True))]
        b = there[tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shift, there.shape, strict=True))]
        both = (a != 0) & (b != 0)
        if both.any():
            found.append(np.unique(np.stack([a[both], b[both]], axis=1), axis=0))
    if not found:
        return np.empty((0, 2), np.int64)
    return np.unique(np.concatenate(found), axis=0).astype(np.int64)


@dataclass(frozen=True)
class Numbering:
    """The final ids of provisional labels.

    Attributes
    ----------
    table : ndarray of uint64, shape (n + 1,)
        Final id of each provisional label, 0 where it was dropped; entry 0 is 0.
    counts : ndarray of int64
        Number of final objects in each volume.
    """

    table: Array
    counts: Array


def number_components(
    pairs: Array, sizes: Array, firsts: Array, volumes: Array, n_volumes: int, keep_from: int
) -> Numbering:
    """Join provisional labels and number what remains.

    Parameters
    ----------
    pairs : ndarray of int64, shape (m, 2)
        Provisional labels (1..n) that belong together.
    sizes : ndarray of int64, shape (n,)
        Voxels of each provisional label.
    firsts : ndarray of int64, shape (n,)
        Raster index of its first voxel in its volume.
    volumes : ndarray of int64, shape (n,)
        The volume it lies in; numbering begins at 1 in each.
    n_volumes : int
        Number of volumes.
    keep_from : int
        Components of fewer voxels are dropped.
    """
    roots = component_roots(pairs, len(sizes))
    total, first = _totals(roots, sizes, firsts)
    kept = np.flatnonzero((roots == np.arange(len(sizes))) & (total >= keep_from))
    kept = kept[np.lexsort((first[kept], volumes[kept]))]
    counts = np.bincount(volumes[kept], minlength=n_volumes).astype(np.int64)
    begin = np.concatenate(([0], np.cumsum(counts)))[:-1]
    final = np.zeros(len(sizes), np.uint64)
    final[kept] = (np.arange(len(kept)) - begin[volumes[kept]] + 1).astype(np.uint64)
    return Numbering(np.concatenate((np.zeros(1, np.uint64), final[roots])), counts)


def component_roots(pairs: Array, count: int) -> Array:
    """Join labels by union-find.

    Parameters
    ----------
    pairs : ndarray of int64, shape (m, 2)
        Labels 1..count that belong together.
    count : int
        Number of labels.

    Returns
    -------
    ndarray of int64, shape (count,)
        Index (label - 1) of the smallest label of each label's component.
    """
    return np.asarray(_roots(np.ascontiguousarray(pairs, np.int64), count))


@numba.njit(cache=True)
def _roots(pairs, n):
    parent = np.arange(n)
    for k in range(pairs.shape[0]):
        a, b = pairs[k, 0] - 1, pairs[k, 1] - 1
        while parent[a] != a:
            parent[a] = parent[parent[a]]
            a = parent[a]
        while parent[b] != b:
            parent[b] = parent[parent[b]]
            b = parent[b]
        if a < b:
            parent[b] = a
        elif b < a:
            parent[a] = b
    for k in range(n):
        # A parent is never larger than its child, so it is already resolved.
        parent[k] = parent[parent[k]]
    return parent


@numba.njit(cache=True)
def _totals(roots, sizes, firsts):
    """Sum of sizes and minimum of firsts of every component, kept at its root."""
    total = np.zeros(len(roots), np.int64)
    first = firsts.copy()
    for k in range(len(roots)):
        root = roots[k]
        total[root] += sizes[k]
        if firsts[k] < first[root]:
            first[root] = firsts[k]
    return total, first
