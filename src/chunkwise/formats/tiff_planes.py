"""The planes of TIFFs, read in boxes: every tile or strip that a box touches is decoded once, and no other.

A *series* of one file is an array whose last axes are those of a page. A *set* is an array whose first axes say which
file, or which page of it, and whose last axes are those of what lies there.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from itertools import product
from math import prod
from typing import Any, Protocol

import numpy as np

from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.storage.array_reader import Box

__all__ = ["OpenFile", "Planes", "SeriesPlanes", "SetPlanes", "explained"]

#: Bytes of pixels that are not encoded, and are read at a time.
PIECE = 2**24

Array = np.ndarray[Any, Any]


class Planes(Protocol):
    """An array in the order of a file's own axes."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    """In native byte order."""
    chunks: tuple[int, ...]
    """What is decoded at once."""

    def read(self, box: Box) -> Array:
        """Read a box, one slice an axis."""


class OpenFile:
    """An open file, which is closed when nothing reads of it any more."""

    def __init__(self, handle: BufferedReader) -> None:
        self.handle = handle
        self.size = os.fstat(handle.fileno()).st_size
        self.lock = threading.RLock()
        """Held by whoever looks for a page: the handle has one position."""
        weakref.finalize(self, handle.close)

    def bytes_at(self, offset: int, count: int) -> bytes:
        """Read bytes, as many as there are; threads do not get into each other's way."""
        return os.pread(self.handle.fileno(), count, offset)


@contextmanager
def explained(path: str, where: str = "", what: str = "TIFF") -> Iterator[None]:
    """Tell in one sentence what a library, such as tifffile, says of a file that it cannot read."""
    try:
        yield
    except ChunkwiseError:
        raise
    except Exception as error:  # libraries and codecs raise many kinds
        words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"The {what} {path} cannot be read{where} ({words}); it may be damaged or broken off: copy the file again."
        ) from None


class SeriesPlanes:
    """A series of one file, or one resolution of it.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        The series.
    file : OpenFile
        That it lies in.
    path : str
        Of the file, for sentences.

    Raises
    ------
    InputError
        If its pages do not make the shape that it says.
    """

    def __init__(self, series: Any, file: OpenFile, path: str) -> None:
        self._series, self._file = series, file
        self._page = page = series.keyframe
        self.shape = tuple(series.shape)
        self.dtype = np.dtype(series.dtype).newbyteorder("=")
        inner = len(self.shape)
        while inner > 0 and prod(self.shape[inner:]) != page.size:
            inner -= 1
        if prod(self.shape[inner:]) != page.size:
            raise _no_shape(path)
        self._outer = inner
        self._places = _places(self.shape[inner:], page.shaped, path)
        # Pages may be left out of the list where each begins behind the one before; else each says where it lies.
        self._at = series.dataoffset
        self._plain = bool(page.is_final) and page.dtype is not None and page.dtype.itemsize * 8 == page.bitspersample
        stored = self._stored_chunk()
        self.chunks = (1,) * inner + tuple(
            1 if place is None else min(stored[place], size)
            for place, size in zip(self._places, self.shape[inner:], strict=True)
        )

    def _stored_chunk(self) -> tuple[int, ...]:
        """What is decoded at once, along the five axes of a page: separate sample, depth, row, column, sample."""
        page = self._page
        _, _, rows, columns, samples = page.shaped
        if self._plain:
            return 1, 1, max(1, min(rows, 2**16 // max(1, columns * samples * page.dtype.itemsize))), columns, samples
        if page.is_tiled:
            return 1, page.tiledepth, page.tilelength, page.tilewidth, samples
        return 1, 1, min(page.rowsperstrip, rows), columns, samples

    def read(self, box: Box) -> Array:
        """Read a box."""
        outer, inner = box[: self._outer], box[self._outer :]
        cut = [slice(0, size) for size in self._page.shaped]
        for place, part in zip(self._places, inner, strict=True):
            if place is not None:
                cut[place] = part
        made = np.empty([*_lengths(outer), *_lengths(cut)], np.dtype(self._page.dtype).newbyteorder("="))
        for index in product(*(range(part.start, part.stop) for part in outer)):
            number = int(np.ravel_multi_index(index, self.shape[: self._outer])) if index else 0
            into = made[tuple(n - part.start for n, part in zip(index, outer, strict=True))]
            self._read_page(number, tuple(cut), into)
        if self._series.transform is not None:
            made = self._series.transform(made)
        return made.reshape(_lengths(box)).astype(self.dtype, copy=False)

    def _read_page(self, number: int, cut: Box, into: Array) -> None:
        begin = 0
        if self._at is not None:
            page, begin = self._series[0], number * self._page.size * self._page.dtype.itemsize
        else:
            with self._file.lock:
                page = self._series[number]
        if page is None:
            raise ValueError(f"plane {number} is not there")
        if self._plain:
            self._read_plain(page.dataoffsets[0] + begin, cut, into)
            return
        decode, tables, header = page.keyframe.decode, page.jpegtables, page.keyframe.jpegheader
        for segment in self._segments(cut):
            # Tiles that hold nothing may have no bytes, and some programs do not even list them.
            listed = segment < len(page.dataoffsets)
            offset, count = (page.dataoffsets[segment], page.databytecounts[segment]) if listed else (0, 0)
            data = self._file.bytes_at(offset, count) if offset and count else None
            decoded, (s, d, h, w, _), size = decode(data, segment, jpegtables=tables, jpegheader=header)
            # Tiles go on behind the edges of the image, and behind those of the cut.
            common = [
                slice(max(first, part.start), min(first + length, part.stop))
                for first, length, part in zip((s, d, h, w), (1, *size[:3]), cut[:4], strict=True)
            ]
            target = into[_moved(common, [part.start for part in cut[:4]])]
            target[...] = page.keyframe.nodata if decoded is None else decoded[(*_moved(common[1:], (d, h, w)), cut[4])]

    def _segments(self, cut: Box) -> Iterator[int]:
        """Numbers of the tiles or strips that a cut touches."""
        page = self._page
        sizes = (
            (1, page.tiledepth, page.tilelength, page.tilewidth)
            if page.is_tiled
            else (1, 1, page.rowsperstrip, page.imagewidth)
        )
        counts = [-(-size // step) for size, step in zip(page.shaped[:4], sizes, strict=True)]
        ranges = [range(part.start // step, -(-part.stop // step)) for part, step in zip(cut[:4], sizes, strict=True)]
        for index in product(*ranges):
            yield int(np.ravel_multi_index(index, counts))

    def _read_plain(self, offset: int, cut: Box, into: Array) -> None:
        """Read rows of pixels that are not encoded, and lie one behind the other."""
        page = self._page
        _, depth, rows, columns, samples = page.shaped
        stored = np.dtype(page.parent.byteorder + page.dtype.char)
        line = columns * samples * stored.itemsize
        step = max(1, PIECE // line)
        for s, d in product(range(cut[0].start, cut[0].stop), range(cut[1].start, cut[1].stop)):
            for row in range(cut[2].start, cut[2].stop, step):
                end = min(row + step, cut[2].stop)
                data = self._file.bytes_at(offset + ((s * depth + d) * rows + row) * line, (end - row) * line)
                if len(data) < (end - row) * line:
                    raise ValueError("it ends before its pixels do")
                read = np.frombuffer(data, stored).reshape(end - row, columns, samples)
                to = slice(row - cut[2].start, end - cut[2].start)
                into[s - cut[0].start, d - cut[1].start, to] = read[:, cut[3], cut[4]]


def _moved(box: Sequence[slice], to: Sequence[int]) -> tuple[slice, ...]:
    return tuple(slice(part.start - first, part.stop - first) for part, first in zip(box, to, strict=True))


def _lengths(box: Sequence[slice]) -> list[int]:
    return [part.stop - part.start for part in box]


def _places(shape: tuple[int, ...], shaped: tuple[int, ...], path: str) -> list[int | None]:
    """Which of the five axes of a page each of the last axes of a series is; None for one of length 1."""
    left = [place for place, size in enumerate(shaped) if size > 1]
    found: list[int | None] = []
    for size in shape:
        found.append(left.pop(0) if size > 1 and left and shaped[left[0]] == size else None)
        if size > 1 and found[-1] is None:
            raise _no_shape(path)
    return found


def _no_shape(path: str) -> InputError:
    return InputError(f"The TIFF {path} cannot be read: its planes do not make the shape that it says.")


class SetPlanes:
    """Parts of one shape, each in a file or a page of its own.

    Parameters
    ----------
    outer : tuple of int
        How many there are along each of the first axes.
    parts : sequence
        What each part is, in the order of these axes, the last the fastest.
    open_part : callable
        Opens a part; raises InputError if it is not there, or not like the others.
    like : Planes
        One of the parts, for what they have in common.
    """

    def __init__(self, outer: tuple[int, ...], parts: Any, open_part: Callable[[Any], Planes], like: Planes) -> None:
        self._parts, self._open, self._outer = parts, open_part, outer
        self.shape = (*outer, *like.shape)
        self.chunks = (*(1 for _ in outer), *like.chunks)
        self.dtype = like.dtype

    def read(self, box: Box) -> Array:
        """Read a box."""
        made = np.empty(_lengths(box), self.dtype)
        outer, inner = box[: len(self._outer)], box[len(self._outer) :]
        for index in product(*(range(part.start, part.stop) for part in outer)):
            number = int(np.ravel_multi_index(index, self._outer)) if index else 0
            into = tuple(n - part.start for n, part in zip(index, outer, strict=True))
            made[into] = self._open(self._parts[number]).read(inner)
        return made
