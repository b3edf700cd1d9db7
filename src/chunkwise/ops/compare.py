"""Comparison of two label images: a map pass over blocks, and merges by label.

Reference, on each whole volume: the contingency table (:mod:`chunkwise.ops.overlap`), and from it the IoU of
every pair of objects, ``overlap / (size in truth + size in predicted - overlap)``.

A block hands on its part of the table, sorted. An object's size is only known when all its rows are merged, and a
pair needs the sizes of both: so the parts are merged in the order of the predicted labels, written again with
the size beside each pair, and merged in the order of the true labels. What lies in memory is a batch of rows,
and never fewer than those of one object.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.measure import BASE, Column
from chunkwise.ops.overlap import count_overlaps
from chunkwise.ops.row_files import ROWS, RowFile, Spill, rows_bytes, sorted_batches
from chunkwise.ops.scores import Tally, count_matches
from chunkwise.storage.writer import StoredObject, put_object

__all__ = [
    "COLUMNS",
    "MATCHED",
    "PAIR",
    "SHARE",
    "Compared",
    "Write",
    "compare",
    "find_pairs",
    "memory_of",
    "merged_pairs",
    "pair_rows",
    "starts_of",
]

Array = np.ndarray[Any, Any]

#: IoU above which the table calls an object matched.
MATCHED = 0.5
#: Part of an object that another has to cover to count in splits and merges.
SHARE = 0.1

#: The table: one row a true object with its best predicted one (0: none), then one row a predicted object that no
#: true one is matched with (label 0).
COLUMNS = (
    Column("t", "t", "i8"),
    Column("label", "label", "u8"),
    Column("num_pixels", "num_pixels", "i8"),
    Column("predicted_label", "predicted_label", "u8"),
    Column("predicted_num_pixels", "predicted_num_pixels", "i8"),
    Column("overlap", "overlap", "i8"),
    Column("iou", "iou", "f8"),
    Column("matched", "matched", "i8"),
)

#: A row of the contingency table, sorted by one side; the size is that of ``other``, where it is known.
PAIR = np.dtype([("label", "u8"), ("other", "u8"), ("count", "i8"), ("size", "i8")])
#: What a predicted object has in common with a true one, or with none.
_BEST = np.dtype([("label", "u8"), ("size", "i8"), ("overlap", "i8"), ("iou", "f8")])

Write = Callable[[dict[str, Array]], None]


@dataclass(frozen=True)
class Compared:
    """Two label images on one grid.

    Blocks of all volumes are numbered through: ``volume * grid.n_blocks + block``.
    """

    truth: VolumeSource
    predicted: VolumeSource
    """Of the same shape and as many volumes."""
    grid: Grid

    @property
    def n_blocks(self) -> int:
        """Blocks of all volumes."""
        return self.truth.volumes * self.grid.n_blocks


@dataclass(frozen=True)
class _ComparePass:
    run: Run
    compared: Compared


def compare(
    compared: Compared,
    job: Job,
    thresholds: Sequence[float],
    share: float = SHARE,
    write: Write | None = None,
    batch: int = ROWS,
) -> list[Tally]:
    """Compare the objects of every volume.

    Parameters
    ----------
    compared : Compared
        What to compare.
    job : Job
        Where the work is done, and what is done already.
    thresholds : sequence of float
        Of the IoU, each at least 0.5 and below 1.
    share : float
        Part of an object that another has to cover to count in splits and merges.
    write : callable, optional
        Takes the table in pieces, each a dict of :data:`COLUMNS`.
    batch : int
        Rows in memory at once, about.

    Returns
    -------
    list of Tally
        One a volume.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    tallies = []
    for volume, sides in enumerate(find_pairs("compare", compared, job)):
        merge = _Merge(job.run.path(f"scratch/merge/{volume}"), batch, share, write, compared.truth.first_time + volume)
        tallies.append(merge.run(sides["predicted"], sides["missed"], thresholds))
    return tallies


def find_pairs(name: str, compared: Compared, job: Job) -> list[dict[str, list[RowFile]]]:
    """Count the voxels of every pair of objects, block by block, in a pass of this name.

    Returns
    -------
    list of dict
        Of each volume the blocks' files of :data:`PAIR`: ``predicted``, where ``label`` is a predicted object, and
        ``other`` a true one or 0; and ``missed``, where ``label`` is a true one, and nothing was predicted.
    """
    voxels = compared.truth.volumes * prod(compared.grid.shape)
    work = _ComparePass(job.run, compared)
    grid = compared.grid
    found = map_pass(job, name, _compare_block, work, compared.n_blocks, voxels=voxels, grid=grid)
    volumes: list[dict[str, list[RowFile]]] = []
    for volume in range(compared.truth.volumes):
        sides: dict[str, list[RowFile]] = {"predicted": [], "missed": []}
        for number in range(volume * grid.n_blocks, (volume + 1) * grid.n_blocks):
            for side, (rows, first) in found.get(number, {}).items():
                sides[side].append(RowFile(job.run.path(_key(side, number)), rows, first))
        volumes.append(sides)
    return volumes


def memory_of(grid: Grid, truth: str, predicted: str) -> int:
    """Project what a worker needs, in bytes; ``truth`` and ``predicted`` are types.

    Arrays count twice, as they are read and as they are laid out for the kernel; the table of pairs is reckoned
    with one pair in every ten voxels, far more than objects of any use have.
    """
    sizes = np.dtype(truth).itemsize + np.dtype(predicted).itemsize
    return projected_memory(grid, block=2 * sizes + 10, base=BASE)


def _compare_block(work: _ComparePass, number: int) -> BlockResult:
    compared = work.compared
    volume, block = divmod(number, compared.grid.n_blocks)
    box = compared.grid.block_box(block)
    truth, predicted, voxels = count_overlaps(compared.truth.read(volume, box), compared.predicted.read(volume, box))
    missed = int(np.searchsorted(predicted, np.uint64(1)))
    stored: list[StoredObject] = []
    data: dict[str, list[int]] = {}
    # True voxels that nothing was predicted for lie apart: they would all be rows of the one label 0.
    for side, label, other, part in (
        ("missed", truth, predicted, slice(missed)),
        ("predicted", predicted, truth, slice(missed, None)),
    ):
        rows = pair_rows(PAIR, label=label[part], other=other[part], count=voxels[part])
        if len(rows):
            stored.append(put_object(work.run.folder, _key(side, number), rows_bytes(rows)))
            data[side] = [len(rows), int(rows["label"][0])]
    return BlockResult(tuple(stored), data or None)


def _key(side: str, number: int) -> str:
    return f"scratch/{side}/{number // 1000}/{number}.npy"


def pair_rows(dtype: np.dtype[Any], **columns: Array) -> Array:
    """Make rows of columns; what is not given is 0."""
    rows: Array = np.zeros(len(columns["label"]), dtype)
    for name, values in columns.items():
        rows[name] = values
    return rows


@dataclass(frozen=True)
class _Merge:
    """The merges of one volume."""

    folder: str
    """For rows that are sorted anew."""
    batch: int
    share: float
    write: Write | None
    time: int

    def run(self, predicted: list[RowFile], missed: list[RowFile], thresholds: Sequence[float]) -> Tally:
        shutil.rmtree(self.folder, ignore_errors=True)
        pairs = Spill(os.path.join(self.folder, "pairs"), self.batch)
        best = Spill(os.path.join(self.folder, "best"), self.batch)
        none = (0,) * len(thresholds)
        tally = Tally(matches=none, iou_sums=none)
        for rows in sorted_batches(predicted, self.batch):
            tally += self._by_predicted(rows, pairs, best)
        for rows in sorted_batches(missed + pairs.files(), self.batch):
            tally += self._by_truth(rows, best, thresholds)
        if self.write is not None:
            for rows in sorted_batches(best.files(), self.batch):
                self._write_unmatched(rows, self.write)
        shutil.rmtree(self.folder, ignore_errors=True)
        return tally

    def _by_predicted(self, rows: Array, pairs: Spill, best: Spill) -> Tally:
        """All rows of some predicted objects: their sizes are known, and handed on with each pair."""
        merged = merged_pairs(rows)
        begins = starts_of(merged["label"])
        sizes = np.add.reduceat(merged["count"], begins)
        lengths = np.diff(np.append(begins, len(merged)))
        size = np.repeat(sizes, lengths)
        both = merged["other"] > 0
        covered = both & (merged["count"] / size >= self.share)
        pairs.add(
            pair_rows(
                PAIR,
                label=merged["other"][both],
                other=merged["label"][both],
                count=merged["count"][both],
                size=size[both],
            )
        )
        if self.write is not None:
            alone = ~np.logical_or.reduceat(both, begins)
            best.add(pair_rows(_BEST, label=merged["label"][begins][alone], size=sizes[alone]))
        return Tally(
            predicted_objects=len(begins),
            predicted_voxels=int(sizes.sum()),
            overlap_voxels=int(merged["count"][both].sum()),
            merges=int((np.add.reduceat(covered.astype(np.int64), begins) >= 2).sum()),
        )

    def _by_truth(self, rows: Array, best: Spill, thresholds: Sequence[float]) -> Tally:
        """All rows of some true objects, sizes of the predicted ones beside them: everything is known."""
        begins = starts_of(rows["label"])
        sizes = np.add.reduceat(rows["count"], begins)
        labels = rows["label"][begins]
        pairs = rows[rows["other"] > 0]
        owner = np.searchsorted(labels, pairs["label"])
        size = sizes[owner]
        iou = pairs["count"] / (size + pairs["size"] - pairs["count"])
        covered = np.bincount(owner[pairs["count"] / size >= self.share], minlength=len(labels))
        matches, iou_sums = count_matches(iou, thresholds)
        if self.write is not None:
            best.add(pair_rows(_BEST, label=pairs["other"], size=pairs["size"], overlap=pairs["count"], iou=iou))
            order = np.lexsort((pairs["other"], -iou, owner))
            firsts = order[starts_of(owner[order])]
            self._write_truth(labels, sizes, owner[firsts], pairs[firsts], iou[firsts], self.write)
        return Tally(
            truth_objects=len(labels),
            truth_voxels=int(sizes.sum()),
            splits=int((covered >= 2).sum()),
            matches=matches,
            iou_sums=iou_sums,
        )

    def _write_truth(self, labels: Array, sizes: Array, owner: Array, pairs: Array, iou: Array, write: Write) -> None:
        columns = {column.name: np.zeros(len(labels), column.type) for column in COLUMNS}
        columns["t"][:] = self.time
        columns["label"], columns["num_pixels"] = labels, sizes
        columns["predicted_label"][owner] = pairs["other"]
        columns["predicted_num_pixels"][owner] = pairs["size"]
        columns["overlap"][owner] = pairs["count"]
        columns["iou"][owner] = iou
        columns["matched"][owner] = iou > MATCHED
        write(columns)

    def _write_unmatched(self, rows: Array, write: Write) -> None:
        rows = rows[np.lexsort((-rows["iou"], rows["label"]))]
        rows = rows[starts_of(rows["label"])]
        rows = rows[rows["iou"] <= MATCHED]
        columns = {column.name: np.zeros(len(rows), column.type) for column in COLUMNS}
        columns["t"][:] = self.time
        columns["predicted_label"], columns["predicted_num_pixels"] = rows["label"], rows["size"]
        columns["overlap"], columns["iou"] = rows["overlap"], rows["iou"]
        write(columns)


def merged_pairs(rows: Array) -> Array:
    """Make one row of the rows of each pair, ordered by ``label``, then ``other``."""
    rows = rows[np.lexsort((rows["other"], rows["label"]))]
    starts = starts_of(rows["label"], rows["other"])
    merged = rows[starts]
    merged["count"] = np.add.reduceat(rows["count"], starts)
    return merged


def starts_of(*keys: Array) -> Array:
    """Where runs of equal keys begin; of nothing, nowhere."""
    differs = np.zeros(max(0, len(keys[0]) - 1), bool)
    for key in keys:
        differs |= key[1:] != key[:-1]
    return np.flatnonzero(np.concatenate((np.ones(min(1, len(keys[0])), bool), differs)))
