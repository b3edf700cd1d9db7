"""The parent of every object: of the objects of another label image the one that has most of its voxels.

Reference, on each whole volume: the contingency table (:mod:`chunkwise.ops.overlap`); of an object's pairs, without
background, the one with the most voxels, and of equal ones that with the lowest number.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.compare import PAIR, Compared, Write, find_pairs, merged_pairs, pair_rows, starts_of
from chunkwise.ops.measure import Column
from chunkwise.ops.row_files import ROWS, RowFile, Spill, sorted_batches

__all__ = ["CHILDREN", "Parents"]

Array = np.ndarray[Any, Any]

#: The table of parents: one row an object that others may lie in, also where none does.
CHILDREN = (
    Column("label", "label", "u8"),
    Column("t", "t", "i8"),
    Column("num_pixels", "num_pixels", "i8"),
    Column("children", "children", "i8"),
)

#: An object, its parent or 0, and the share of its voxels that lie there.
_BEST = np.dtype([("label", "u8"), ("parent", "u8"), ("overlap", "f8")])


class Parents:
    """The parents of all objects, in the order in which :func:`chunkwise.ops.measure.measure` gives these.

    Parameters
    ----------
    labels, parents : VolumeSource
        Of the same shape and as many volumes.
    grid : Grid
        Of the pass.
    job : Job
        Where the work is done, and what is done already.
    write : callable, optional
        Takes the table of :data:`CHILDREN` in pieces.
    batch : int
        Rows in memory at once, about.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """

    def __init__(
        self,
        labels: VolumeSource,
        parents: VolumeSource,
        grid: Grid,
        job: Job,
        write: Write | None = None,
        batch: int = ROWS,
    ) -> None:
        self._run, self._write, self._batch, self._first = job.run, write, batch, labels.first_time
        volumes = find_pairs("parents", Compared(parents, labels, grid), job)
        self._found = (best for volume, sides in enumerate(volumes) for best in self._volume(volume, sides))
        self._ready: Array = np.empty(0, _BEST)

    def following(self, labels: Array) -> dict[str, Array]:
        """Give ``parent`` and ``parent_overlap`` of the next objects, whose numbers are given."""
        while len(self._ready) < len(labels):
            self._ready = np.concatenate([self._ready, next(self._found)])
        taken, self._ready = self._ready[: len(labels)], self._ready[len(labels) :]
        assert np.array_equal(taken["label"], labels)  # both read the same voxels
        return {"parent": taken["parent"], "parent_overlap": taken["overlap"]}

    def close(self) -> None:
        """Write what is left of the table: of volumes without objects, too."""
        for _ in self._found:
            pass

    def _volume(self, volume: int, sides: dict[str, list[RowFile]]) -> Iterator[Array]:
        folder = self._run.path(f"scratch/children/{volume}")
        shutil.rmtree(folder, ignore_errors=True)
        parts = Spill(folder, self._batch)
        for rows in sorted_batches(sides["predicted"], self._batch):
            pairs = merged_pairs(rows)
            begins = starts_of(pairs["label"])
            shared = np.where(pairs["other"] > 0, pairs["count"], 0)
            firsts = np.lexsort((pairs["other"], -shared, pairs["label"]))[begins]
            if self._write is not None:
                chosen = np.zeros(len(pairs), np.int64)
                chosen[firsts] = 1
                both = pairs["other"] > 0
                columns = {"label": pairs["other"], "count": pairs["count"], "size": chosen}
                parts.add(pair_rows(PAIR, **{name: values[both] for name, values in columns.items()}))
            size = np.add.reduceat(pairs["count"], begins)
            best = pairs[firsts]
            yield pair_rows(_BEST, label=best["label"], parent=best["other"], overlap=shared[firsts] / size)
        if self._write is not None:
            for rows in sorted_batches(sides["missed"] + parts.files(), self._batch):
                begins = starts_of(rows["label"])
                made = {"label": rows["label"][begins], "t": np.full(len(begins), self._first + volume)}
                made["num_pixels"] = np.add.reduceat(rows["count"], begins)
                self._write(made | {"children": np.add.reduceat(rows["size"], begins)})
        shutil.rmtree(folder, ignore_errors=True)
