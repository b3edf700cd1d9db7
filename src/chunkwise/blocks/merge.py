"""Joining labels across blocks: faces, edges and corners, by union-find on prefix-summed ids.

A block is labelled on its own, 1..n. What it hands on is small: how many voxels each label has,
where its first voxel lies, and the labels on the block's faces. Two blocks are joined where
voxels of both touch under the connectivity; a whole run's labels then get their final ids in the
raster order of their first voxel, so that the numbering depends on the voxels alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np

from chunkwise import _kernels
from chunkwise.storage.writer import clear_errors

__all__ = ["Components", "face", "touching_pairs"]

Array = np.ndarray[Any, Any]

#: Ranges that the first voxels of components are counted in.
BINS = 4096


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
        # Labels of a block have 32 bits, so that a pair is one number: far faster to sort than rows.
        found.append(a[both].astype(np.uint64) << np.uint64(32) | b[both].astype(np.uint64))
    keys = np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)
    return np.stack([keys >> np.uint64(32), keys & np.uint64(0xFFFFFFFF)], axis=1).astype(np.int64)


class Components:
    """Provisional labels being joined, on disk, so that memory does not bound their number.

    Parameters
    ----------
    folder : str
        Where the tables go; they can be removed when the numbering is done.
    count : int
        Number of provisional labels; they are 1..count.

    Notes
    -----
    Every table is a file that is mapped into memory: what is in use stays in the page cache, and the
    system writes it back when it needs the room.
    """

    #: Components that are sorted at once, by their first voxel.
    BATCH = 2**22

    def __init__(self, folder: str, count: int) -> None:
        self.count = count
        self._folder = folder
        with clear_errors(folder):
            os.makedirs(folder, exist_ok=True)
            self._parent = self._table("parent")
            self._sizes = self._table("sizes")
            self._firsts = self._table("firsts")
        _kernels.begin(self._parent)

    def _table(self, name: str) -> Array:
        path = os.path.join(self._folder, f"{name}.npy")
        # An empty file cannot be mapped.
        table = np.lib.format.open_memmap(path, "w+", np.int64, (max(self.count, 1),))
        return np.asarray(table)[: self.count]

    def describe(self, start: int, sizes: Array, firsts: Array) -> None:
        """Say of the labels ``start + 1``, ... how many voxels they have, and where the first one lies.

        Parameters
        ----------
        start : int
            Labels before them.
        sizes : ndarray of int64
            Voxels of each.
        firsts : ndarray of int64
            Raster index of its first voxel in its volume.
        """
        self._sizes[start : start + len(sizes)] = sizes
        self._firsts[start : start + len(firsts)] = firsts

    def join(self, pairs: Array) -> None:
        """Join labels by union-find.

        Parameters
        ----------
        pairs : ndarray of int64, shape (n, 2)
            Labels that belong together.
        """
        _kernels.join(self._parent, np.ascontiguousarray(pairs, np.int64))

    def roots(self) -> Array:
        """Index (label - 1) of the smallest label of each label's component, as int64."""
        _kernels.resolve(self._parent)
        return self._parent

    def totals(self) -> tuple[Array, Array]:
        """:meth:`roots`, and how many voxels each component has, at the index of its root; then none can be described.

        Returns
        -------
        roots, sizes : ndarray of int64
        """
        roots = self.roots()
        _kernels.gather(roots, self._sizes, self._firsts)
        return roots, self._sizes

    def number(self, volumes: Array, keep_from: int, path: str) -> list[int]:
        """Number the components of each volume from 1, in the raster order of their first voxels.

        Parameters
        ----------
        volumes : ndarray of int64, shape (n_volumes + 1,)
            Labels ``volumes[t] + 1`` .. ``volumes[t + 1]`` are those of volume t.
        keep_from : int
            Components of fewer voxels are dropped.
        path : str
            Where the table goes: uint64 of ``count + 1`` entries, the final id of each provisional
            label, 0 where it was dropped; entry 0 is 0.

        Returns
        -------
        list of int
            Number of components kept in each volume.
        """
        roots, _ = self.totals()
        with clear_errors(path):
            table = np.asarray(np.lib.format.open_memmap(path, "w+", np.uint64, (self.count + 1,)))
        counts = []
        for start, stop in zip(volumes[:-1].tolist(), volumes[1:].tolist(), strict=True):
            part = slice(start, stop)
            kept = (roots[part], self._sizes[part], self._firsts[part], start, keep_from)
            known = 0
            held = np.zeros(BINS, np.int64)
            edges = np.arange(BINS + 1) * _kernels.spread(*kept, held)
            for low, high in _ranges(edges, held, self.BATCH):
                found = _kernels.between(*kept, low, high)
                order = np.argsort(self._firsts[found])
                table[found[order] + 1] = np.arange(known + 1, known + len(found) + 1, dtype=np.uint64)
                known += len(found)
            counts.append(known)
        _kernels.hand_down(roots, table)
        return counts


def _ranges(edges: Array, counts: Array, batch: int) -> Iterator[tuple[int, int]]:
    """Part the range of first voxels so that each part holds about a batch of components."""
    low, held = int(edges[0]), 0
    for number, count in enumerate(counts.tolist()):
        if held and held + count > batch:
            yield low, int(edges[number])
            low, held = int(edges[number]), 0
        held += count
    if held:
        yield low, int(edges[-1])
