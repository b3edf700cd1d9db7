"""The objects of whole volumes, found in one pass over their blocks: what the kernels of label images need to know.

Of every block the numbers of its objects are kept, how many voxels each has there, and which of them touch the border
of the volume. The driver adds that up, some blocks at a time; it holds the objects of one volume, up to 25 bytes
each, and as many rows again. What it finds lies in files, of which a worker reads the rows that its block needs.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ops.label_runs import count_labels
from chunkwise.ops.labelling import HEADERS, load_small, read_ahead
from chunkwise.ops.row_files import rows_bytes
from chunkwise.ops.volumes import HaloedVolumes
from chunkwise.storage.writer import put_object

__all__ = ["ObjectTable", "find_objects_of", "table_of"]

Array = np.ndarray[Any, Any]

#: Rows of blocks that are added up at once.
AT_ONCE: Final = 2**21


@dataclass(frozen=True)
class ObjectTable:
    """The objects of a volume, ordered by their numbers.

    ``table["ids"]`` are the numbers, without 0; ``table["sizes"]`` voxels; ``table["at_border"]`` whether the object
    touches the border; ``table["ranks"]`` its place if the largest comes first (from 0; of equal ones, the lowest
    number).
    """

    folder: str
    count: int

    def __getitem__(self, name: str) -> Array:
        """Give a column, which is read where it is looked at."""
        with HEADERS:
            column: Array = np.load(f"{self.folder}/{name}.npy", mmap_mode="r")
        return column


@dataclass(frozen=True)
class _CountPass:
    volumes: HaloedVolumes
    run: Run


def find_objects_of(volumes: HaloedVolumes, job: Job) -> list[ObjectTable]:
    """Find the objects of every volume.

    Parameters
    ----------
    volumes : HaloedVolumes
        Of label images.
    job : Job
        Where the work is done, and what is done already.

    Returns
    -------
    list of ObjectTable
        One a volume.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    work, run = _CountPass(volumes, job.run), job.run
    map_pass(job, "objects", _count_block, work, volumes.n_blocks, voxels=volumes.voxels, grid=volumes.grid)
    tables = []
    for volume, blocks in enumerate(volumes.blocks_by_volume()):
        columns = table_of(_parts(run, blocks))
        folder = f"scratch/objects/table-{volume}"
        for name, column in columns.items():
            put_object(run.folder, f"{folder}/{name}.npy", rows_bytes(column))
        tables.append(ObjectTable(run.path(folder), len(columns["ids"])))
    return tables


def table_of(parts: Iterator[tuple[Array, Array, Array]]) -> dict[str, Array]:
    """Add up what several blocks have of objects.

    Parameters
    ----------
    parts : iterator of (ids, sizes, at_border)
        Of each block.

    Returns
    -------
    dict of str to ndarray
        The columns of :class:`ObjectTable`.
    """
    whole: tuple[Array, Array, Array] | None = None
    waiting: list[tuple[Array, Array, Array]] = []
    for part in parts:
        waiting.append(part)
        if sum(len(ids) for ids, _, _ in waiting) >= AT_ONCE:
            whole, waiting = _added([*([whole] if whole else []), *waiting]), []
    ids, sizes, at_border = _added([*([whole] if whole else []), *waiting])
    ranks = np.empty(len(ids), np.int64)
    ranks[np.lexsort((ids, -sizes))] = np.arange(len(ids))
    return {"ids": ids, "sizes": sizes, "at_border": at_border, "ranks": ranks}


def _added(parts: list[tuple[Array, Array, Array]]) -> tuple[Array, Array, Array]:
    ids, sizes, at_border = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    starts = np.flatnonzero(np.concatenate(([True], ids[1:] != ids[:-1]))) if len(ids) else np.zeros(0, np.intp)
    return ids[starts], np.add.reduceat(sizes[order], starts), np.logical_or.reduceat(at_border[order], starts)


def _parts(run: Run, blocks: range) -> Iterator[tuple[Array, Array, Array]]:
    def load(number: int) -> tuple[Array, ...]:
        return load_small(run.path(_key(number)), "ids", "sizes", "at_border")

    for _, (ids, sizes, at_border) in read_ahead(load, blocks):
        yield ids, sizes, at_border


def _count_block(work: _CountPass, number: int) -> BlockResult:
    labels = work.volumes.read(number)
    grid = work.volumes.grid
    ids, sizes = count_labels(labels)
    edge = [np.zeros(0, labels.dtype)]
    for axis, (part, size) in enumerate(zip(grid.block_box(work.volumes.place(number)[1]), grid.shape, strict=True)):
        if size == 1:  # along it, everything would lie at the border
            continue
        edge += [np.unique(labels.take(0, axis))] if part.start == 0 else []
        edge += [np.unique(labels.take(-1, axis))] if part.stop == size else []
    there = ids != 0
    ids, sizes = ids[there], sizes[there]
    buffer = io.BytesIO()
    np.savez(buffer, ids=ids, sizes=sizes, at_border=np.isin(ids, np.concatenate(edge)))
    return BlockResult((put_object(work.run.folder, _key(number), buffer.getvalue()),))


def _key(number: int) -> str:
    return f"scratch/objects/{number // 1000}/{number}.npz"
