"""Parts of components on disk: a file a unit, in which each component is compressed on its own."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.grid import Box
from chunkwise.storage.writer import compress, decompress

__all__ = ["PartFile", "read_parts"]

Array = np.ndarray[Any, Any]


class PartFile:
    """Takes in components that were split; none of them twice."""

    def __init__(self) -> None:
        self.labels: list[int] = []
        self.counts: list[int] = []
        self._boxes: list[list[tuple[int, int]]] = []
        self._sizes: list[Array] = []
        self._firsts: list[Array] = []
        self._blobs: list[bytes] = []

    def add(self, label: int, box: Box, parts: Array, sizes: Array, firsts: Array) -> None:
        """Take in a component.

        Parameters
        ----------
        label : int
            Of the component.
        box : tuple of slice
            Of the volume, around the component.
        parts : ndarray of int32
            0 outside the component, else 1..n.
        sizes, firsts : ndarray of int64, shape (n,)
            Voxels of each part, and the raster index of its first one in the volume.
        """
        self.labels.append(label)
        self.counts.append(len(sizes))
        self._boxes.append([(part.start, part.stop) for part in box])
        self._sizes.append(sizes)
        self._firsts.append(firsts)
        self._blobs.append(compress(parts.astype(_narrow(len(sizes))).tobytes()))

    def content(self) -> bytes:
        """The file; the same components always give the same bytes. ``sizes`` and ``firsts`` are in their order."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            labels=np.array(self.labels, np.uint64),
            boxes=np.array(self._boxes, np.int64),
            counts=np.array(self.counts, np.int64),
            sizes=np.concatenate(self._sizes),
            firsts=np.concatenate(self._firsts),
            ends=np.cumsum([len(blob) for blob in self._blobs]),
            blobs=np.frombuffer(b"".join(self._blobs), np.uint8),
        )
        return buffer.getvalue()


def read_parts(path: str, labels: Array, box: Box) -> Iterator[tuple[Box, Array, slice]]:
    """Read what lies in a box of some components.

    Yields
    ------
    here : tuple of slice
        Of the box: what a component has in common with it.
    parts : ndarray
        There; 0 outside the component, else 1..n.
    numbers : slice
        Where among all parts of the file the component's are.
    """
    with np.load(path) as content:
        wanted = np.flatnonzero(np.isin(content["labels"], labels))
        if not len(wanted):
            return
        ends, boxes, blobs = content["ends"], content["boxes"], content["blobs"]
        begins = np.concatenate(([0], np.cumsum(content["counts"])))
    for index in wanted:
        whole = tuple(slice(int(a), int(b)) for a, b in boxes[index])
        common = tuple(slice(max(w.start, b.start), min(w.stop, b.stop)) for w, b in zip(whole, box, strict=True))
        if any(part.start >= part.stop for part in common):
            continue
        numbers = slice(int(begins[index]), int(begins[index + 1]))
        blob = blobs[ends[index - 1] if index else 0 : ends[index]].tobytes()
        parts = np.frombuffer(decompress(blob), _narrow(numbers.stop - numbers.start))
        shape = tuple(part.stop - part.start for part in whole)
        yield inside(common, box), parts.reshape(shape)[inside(common, whole)], numbers


def _narrow(count: int) -> np.dtype[Any]:
    """The smallest type that numbers so many parts."""
    return np.min_scalar_type(count)
