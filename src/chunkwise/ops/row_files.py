"""Rows of objects on disk: one sorted file a block, read again in the order of the labels.

The files of a large image do not fit in memory together. They are merged as sorted files are: a piece
of each file that can hold the next labels is in memory, and files whose labels come later are not
opened yet.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.storage.writer import put_object

__all__ = ["ROWS", "RowFile", "Spill", "rows_bytes", "sorted_batches"]

Array = np.ndarray[Any, Any]

#: Rows in memory at once, about; some hundred bytes each.
ROWS = 2**18
#: No smaller piece of a file is read.
SMALLEST_PIECE = 256


@dataclass(frozen=True)
class RowFile:
    """A file of rows sorted by ``label``; the rows of one label have to fit in memory."""

    path: str
    count: int
    first: int
    """Smallest label."""


def rows_bytes(rows: Array) -> bytes:
    """Encode rows as a file; the same rows always give the same bytes."""
    buffer = io.BytesIO()
    np.save(buffer, rows)
    return buffer.getvalue()


class _Reader:
    """A file that is being read: the piece in memory, and where the next one begins."""

    def __init__(self, order: int, file: RowFile, piece: int) -> None:
        self.order, self._file, self._piece, self._next = order, file, piece, 0
        self.read()

    def read(self) -> None:
        # Opened for each piece: there may be more blocks than files may be open.
        rows = np.load(self._file.path, mmap_mode="r")
        stop = min(self._next + self._piece, self._file.count)
        if stop < self._file.count:
            # Rows of one label stay together, however many they are.
            stop = bisect_right(rows["label"], rows["label"][stop - 1], stop, self._file.count)
        self.rows = np.array(rows[self._next : stop])
        self._next = stop

    @property
    def more(self) -> bool:
        return self._next < self._file.count

    def take(self, bound: int | None) -> Array:
        """Hand out the rows up to a label, that one included."""
        cut = len(self.rows)
        if bound is not None:
            cut = int(np.searchsorted(self.rows["label"], np.uint64(bound), side="right"))
        taken, self.rows = self.rows[:cut], self.rows[cut:]
        if not len(self.rows) and self.more:
            self.read()
        return taken


def sorted_batches(files: Sequence[RowFile], rows: int = ROWS) -> Iterator[Array]:
    """Read all files in the order of the labels.

    Parameters
    ----------
    files : sequence of RowFile
        None of them empty.
    rows : int
        How many rows may lie in memory, about.

    Yields
    ------
    ndarray
        Rows sorted by label, those of one label in the order of the files; all rows of a label are in
        the same batch.
    """
    piece = max(SMALLEST_PIECE, rows // max(1, len(files)))
    waiting = deque(sorted(enumerate(files), key=lambda item: (item[1].first, item[0])))
    active: list[_Reader] = []
    while waiting or active:
        heads = [int(reader.rows["label"][0]) for reader in active] + [file.first for _, file in list(waiting)[:1]]
        smallest = min(heads)
        loaded = sum(len(reader.rows) for reader in active)
        while waiting and (waiting[0][1].first <= smallest or loaded < rows):
            reader = _Reader(*waiting.popleft(), piece)
            loaded += len(reader.rows)
            active.append(reader)
        # Up to here nothing can be missing: what is not in memory has larger labels.
        limits = [int(reader.rows["label"][-1]) for reader in active if reader.more]
        limits += [waiting[0][1].first - 1] if waiting else []
        active.sort(key=lambda reader: reader.order)
        taken = np.concatenate([reader.take(min(limits, default=None)) for reader in active])
        active = [reader for reader in active if len(reader.rows)]
        yield taken[np.argsort(taken["label"], kind="stable")]


class Spill:
    """Rows that come in any order, put on disk as sorted files while they come.

    Parameters
    ----------
    folder : str
        Where the files go; whoever made it removes it.
    rows : int
        How many rows may lie in memory, about.
    """

    def __init__(self, folder: str, rows: int = ROWS) -> None:
        self._folder, self._rows = folder, rows
        self._kept: list[Array] = []
        self._files: list[RowFile] = []

    def add(self, rows: Array) -> None:
        """Take in rows, all of one type that has a ``label``.

        Raises
        ------
        ResumableError
            If the disk is full.
        """
        if len(rows):
            self._kept.append(rows)
        if sum(map(len, self._kept)) >= self._rows:
            self._flush()

    def files(self) -> list[RowFile]:
        """What there is, for :func:`sorted_batches`."""
        self._flush()
        return self._files

    def _flush(self) -> None:
        if not self._kept:
            return
        rows = np.concatenate(self._kept)
        rows = rows[np.argsort(rows["label"], kind="stable")]
        self._kept = []
        key = f"{len(self._files)}.npy"
        put_object(self._folder, key, rows_bytes(rows))
        self._files.append(RowFile(f"{self._folder}/{key}", len(rows), int(rows["label"][0])))
