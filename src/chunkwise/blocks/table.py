"""The table of blocks: what the log says in the end of every block of every pass, one row each.

Rows are in the order of passes by name, then of blocks, whoever did them and when; so the same work gives the same
rows but for workers and times. Of a run that has not come to its end a block is called done only where the objects
that its line names are there with the hashes that it names, as when the run goes on (``Run.done``).

Lines are looked up again one by one, so that only numbers are held in memory: 37 bytes a line.
"""

from __future__ import annotations

import gzip
import io
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, BinaryIO

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.journal import BEGUN, Entry, read_lines
from chunkwise.files import open_file
from chunkwise.storage.writer import StoredObject

__all__ = ["COLUMNS", "make_table"]

COLUMNS = (
    *("pass", "block", "volume", "slices", "status", "attempt", "worker", "start", "end", "objects", "sha256"),
    *("bytes", "error"),
)

#: Rows whose objects are looked at together.
TOGETHER = 64

#: Segments that are open at a time; a run of thousands of jobs has as many segments.
OPEN = 64

Whole = Callable[[set[StoredObject]], set[StoredObject]]


@dataclass
class _Lines:
    """Where the lines about blocks are, and what is needed to order them."""

    passes: list[str] = field(default_factory=list)
    about: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What is known of passes: how many blocks, and which voxels each is."""
    segments: list[str] = field(default_factory=list)
    which: array[int] = field(default_factory=lambda: array("i"))
    block: array[int] = field(default_factory=lambda: array("q"))
    end: array[float] = field(default_factory=lambda: array("d"))
    done: array[int] = field(default_factory=lambda: array("b"))
    segment: array[int] = field(default_factory=lambda: array("l"))
    offset: array[int] = field(default_factory=lambda: array("q"))

    @classmethod
    def read(cls, folder: str, run: str) -> _Lines:
        lines = cls()
        numbers: dict[str, int] = {}
        places: dict[str, int] = {}
        for path, offset, entry in read_lines(folder, run):
            number = numbers.setdefault(entry.name, len(numbers))
            if entry.status == BEGUN:
                lines.about[entry.name] = entry.data
                continue
            lines.which.append(number)
            lines.block.append(entry.block)
            lines.end.append(entry.end)
            lines.done.append(entry.status == "done")
            lines.segment.append(places.setdefault(path, len(places)))
            lines.offset.append(offset)
        lines.passes, lines.segments = list(numbers), list(places)
        return lines


class _Segments:
    """The segments of the journal, a few of them open at a time."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = paths
        self._open: dict[int, BinaryIO] = {}

    def __enter__(self) -> _Segments:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def line(self, segment: int, offset: int) -> Entry:
        """Read the line at a place where one was read before: lines are only ever added."""
        if segment not in self._open:
            if len(self._open) == OPEN:
                self._open.pop(next(iter(self._open))).close()
            self._open[segment] = open_file(self._paths[segment])  # closed with the others
        file = self._open[segment]
        file.seek(offset)
        entry = Entry.parse(file.readline())
        assert entry is not None
        return entry


def make_table(folder: str, run: str, whole: Whole | None = None) -> tuple[bytes, dict[str, int]]:
    """Make the table of blocks of a run, and the sums over it.

    Parameters
    ----------
    folder : str
        Of the journal.
    run : str
        The plan's hash.
    whole : callable, optional
        Says which of some objects are there with the bytes that they were written with. Without it, as for a run that
        is complete and has removed what only passes needed, the log is believed.

    Returns
    -------
    table : bytes
        Tab-separated, gzipped; see :data:`COLUMNS`. ``status`` is ``done``, ``failed``, or ``lost`` where a block
        was done and its objects are gone or others; ``attempt`` counts the lines about the block.
    sums : dict
        ``total`` blocks of the passes that were begun, ``done``, ``retried`` (lines of blocks done more than once),
        ``failed`` (lines of failures), and where there are some ``lost``.
    """
    lines = _Lines.read(folder, run)
    buffer = io.BytesIO()
    done = lost = 0
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0, compresslevel=6) as file, _Segments(lines.segments) as known:
        file.write(("\t".join(COLUMNS) + "\n").encode())
        rows = _rows(lines, known)
        while batch := list(islice(rows, TOGETHER)):
            objects = {item for entry, _ in batch if entry.status == "done" for item in entry.objects}
            sure = objects if whole is None else whole(objects)
            for entry, attempt in batch:
                status = entry.status
                if status == "done" and not sure.issuperset(entry.objects):
                    status = "lost"
                done += status == "done"
                lost += status == "lost"
                file.write(("\t".join(_cells(entry, status, attempt, lines.about.get(entry.name))) + "\n").encode())
    counted: dict[int, int] = {}
    if lines.which:
        pairs = np.unique(np.stack([np.asarray(lines.which, np.int64), np.asarray(lines.block)]), axis=1)
        counted = dict(zip(*(part.tolist() for part in np.unique(pairs[0], return_counts=True)), strict=True))
    total = sum(
        lines.about.get(name, {}).get("count", counted.get(number, 0)) for number, name in enumerate(lines.passes)
    )
    written = sum(lines.done)
    sums = {"total": total, "done": done, "retried": written - done - lost, "failed": len(lines.done) - written}
    return buffer.getvalue(), sums | ({"lost": lost} if lost else {})


def _rows(lines: _Lines, segments: _Segments) -> Iterator[tuple[Entry, int]]:
    """Give the line that counts of every block, and how many there are about it."""
    rank = np.argsort(np.argsort(np.asarray(lines.passes))) if lines.passes else np.zeros(0, np.int64)
    which = rank[np.asarray(lines.which)] if lines.which else rank[:0]
    block, end = np.asarray(lines.block), np.asarray(lines.end)
    done, segment, offset = np.asarray(lines.done), np.asarray(lines.segment), np.asarray(lines.offset)
    # Of several lines about a block the last counts, and one that says done before one that says failed.
    order = np.lexsort((end, done, block, which))
    if not len(order):
        return
    which, block = which[order], block[order]
    first = np.flatnonzero(np.r_[True, (which[1:] != which[:-1]) | (block[1:] != block[:-1])])
    for begin, stop in zip(first.tolist(), [*first[1:].tolist(), len(order)], strict=True):
        chosen = order[stop - 1]
        yield segments.line(int(segment[chosen]), int(offset[chosen])), stop - begin


def _cells(entry: Entry, status: str, attempt: int, about: dict[str, Any] | None) -> tuple[str, ...]:
    volume, slices = _place(entry.block, about)
    return (
        entry.name,
        str(entry.block),
        volume,
        slices,
        status,
        str(attempt),
        entry.worker,
        f"{entry.start:.6f}",
        f"{entry.end:.6f}",
        ",".join(item.key for item in entry.objects),
        ",".join(item.sha256 for item in entry.objects),
        str(sum(item.size for item in entry.objects)),
        (entry.error or "").replace("\t", " ").replace("\n", " "),
    )


def _place(block: int, about: dict[str, Any] | None) -> tuple[str, str]:
    """The volume and the voxels that a number stands for in a pass, as text; empty where the pass did not say."""
    if not about or "grid" not in about:
        return "", ""
    grid = Grid(*map(tuple, about["grid"]))
    if about["each"] == "volume":
        return str(block), ",".join(f"0:{size}" for size in grid.shape)
    count = grid.n_units if about["each"] == "unit" else grid.n_blocks
    volume, number = divmod(block, count)
    box = grid.unit_box(number) if about["each"] == "unit" else grid.block_box(number)
    return str(volume), ",".join(f"{part.start}:{part.stop}" for part in box)
