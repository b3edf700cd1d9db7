"""The pass by object: what needs all of an object is measured in its bounding box.

Of the first pass every block has a file of rows, and the driver has merged them into a table. An object belongs
to the first block that it has voxels in; that block's worker measures it. Objects whose boxes lie together are
read together, as many as memory holds. Of an object whose box does not fit, nothing is measured, and
``not_measured`` says so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import nan, prod
from typing import Any

import numpy as np

from chunkwise.blocks.boxes import groups_that_fit, inside
from chunkwise.blocks.grid import Box, Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.moments import label_starts, merge_rows
from chunkwise.ops.object_shapes import MOMENTS, SHAPES, bytes_a_voxel, intensities, shapes
from chunkwise.ops.row_files import RowFile, rows_bytes, sorted_batches
from chunkwise.storage.outputs import new_file
from chunkwise.storage.writer import clear_errors, put_object

__all__ = ["ByObject", "row_key"]

Array = np.ndarray[Any, Any]

#: Bytes that a worker takes before it reads a voxel: Python, NumPy, SciPy, scikit-image, tensorstore.
BASE = 300 * 2**20


@dataclass(frozen=True)
class _BoxPass:
    """What workers are handed."""

    run: Run
    labels: VolumeSource
    channels: tuple[VolumeSource, ...]
    grid: Grid
    properties: tuple[str, ...]
    percentiles: tuple[float, ...]
    memory: int
    table_type: np.dtype[Any]

    @property
    def row_type(self) -> np.dtype[Any]:
        """What is found of an object."""
        fields: list[tuple[Any, ...]] = [("label", "u8"), ("not_measured", "i8")]
        fields += [(name, "f8") for name in SHAPES if name in self.properties]
        powers = (4,) * len(self.grid.shape)
        fields += [
            (name, "f8", (7,) if name == "moments_hu" else powers) for name in MOMENTS if name in self.properties
        ]
        if "intensity_median" in self.properties:
            fields.append(("intensity_median", "f8", (len(self.channels),)))
        if "intensity_percentile" in self.properties:
            fields.append(("intensity_percentile", "f8", (len(self.channels), len(self.percentiles))))
        return np.dtype(fields)

    @property
    def intensities(self) -> bool:
        """Whether the image is read."""
        return bool({"intensity_median", "intensity_percentile"} & set(self.properties))


class ByObject:
    """What is measured by object in every volume of a cut.

    Parameters
    ----------
    labels, channels : VolumeSource
        Label image and channels of the image.
    grid : Grid
        Of the first pass.
    properties : tuple of str
        To measure; see :func:`chunkwise.ops.columns.by_object`.
    percentiles : tuple of float
        Of the intensities.
    job : Job
        Where the work is done, and what is done already.
    """

    def __init__(
        self,
        labels: VolumeSource,
        channels: tuple[VolumeSource, ...],
        grid: Grid,
        properties: tuple[str, ...],
        percentiles: tuple[float, ...],
        job: Job,
    ) -> None:
        self._given = (labels, channels, grid, properties, percentiles)
        self._job = job

    def measure(self, files: Callable[[int], list[RowFile]]) -> Iterator[tuple[int, Array]]:
        """Measure every object.

        Parameters
        ----------
        files : callable
            ``files(volume)``: what the volume's blocks found, with ``corner``; a block's file is ``row_key(number)``.

        Yields
        ------
        volume : int
        rows : ndarray
            The merged rows in the order of the labels, with the fields of this pass; a volume comes in several
            batches, or in none.
        """
        labels, channels, grid, properties, percentiles = self._given
        run = self._job.run
        table_type = None
        filled = []
        for volume in range(labels.volumes):
            entries = files(volume)
            if entries:
                row_type = np.load(entries[0].path, mmap_mode="r").dtype
                table_type = _joined(row_type, [("owner", "i8", (len(grid.shape),))])
                _merge(run, volume, entries, table_type)
                filled.append(volume)
        if table_type is None:
            return
        work = _BoxPass(run, labels, channels, grid, properties, percentiles, self._job.memory, table_type)
        count = grid.n_blocks
        found = map_pass(
            self._job,
            "objects",
            _measure_objects,
            work,
            labels.volumes * count,
            voxels=labels.volumes * prod(grid.shape),
            grid=grid,
        )
        for volume in filled:
            numbers = range(volume * count, (volume + 1) * count)
            parts = [RowFile(run.path(_objects_key(n)), *found[n]) for n in numbers if n in found]
            table = np.memmap(run.path(_table_key(volume)), table_type, "r")
            done = 0
            for more in sorted_batches(parts):
                # Both have every object once, in the order of the labels.
                yield volume, _side_by_side(np.asarray(table[done : done + len(more)]), more)
                done += len(more)


def row_key(number: int) -> str:
    """Where the first pass keeps the rows of a block."""
    return f"scratch/rows/{number // 1000}/{number}.npy"


def _objects_key(number: int) -> str:
    return f"scratch/objects/{number // 1000}/{number}.npy"


def _table_key(volume: int) -> str:
    return f"scratch/objects/table-{volume}.bin"


def _labels_key(volume: int) -> str:
    return f"scratch/objects/labels-{volume}.bin"


def _merge(run: Run, volume: int, files: list[RowFile], table_type: np.dtype[Any]) -> None:
    """Merge the blocks' rows into a table on disk, a piece at a time; its labels once more, to be searched in."""
    places = [run.path(key(volume)) for key in (_table_key, _labels_key)]
    os.makedirs(os.path.dirname(places[0]), exist_ok=True)
    with (
        new_file(places[0]) as table,
        new_file(places[1]) as names,
        clear_errors(places[0]),
        open(table, "wb") as rows,
        open(names, "wb") as labels,
    ):
        for batch in sorted_batches(files):
            merged = merge_rows(batch)
            batch = batch[batch["count"] > 0]
            joined: Array = np.empty(len(merged), table_type)
            for name in merged.dtype.names or ():
                joined[name] = merged[name]
            joined["owner"] = batch["corner"][label_starts(batch)]
            rows.write(joined.tobytes())
            labels.write(merged["label"].tobytes())


def _measure_objects(work: _BoxPass, number: int) -> BlockResult:
    """Measure the objects that begin in a block."""
    path = work.run.path(row_key(number))
    if not os.path.exists(path):
        return BlockResult()
    volume, block = divmod(number, work.grid.n_blocks)
    corner = [part.start for part in work.grid.block_box(block)]
    here = np.load(path)
    here = here["label"][here["count"] > 0]
    if not len(here):
        return BlockResult()
    known = np.memmap(work.run.path(_labels_key(volume)), np.uint64, "r")
    table = np.memmap(work.run.path(_table_key(volume)), work.table_type, "r")
    objects = np.asarray(table[np.searchsorted(known, here)])
    objects = objects[(objects["owner"] == corner).all(axis=1)]
    if not len(objects):
        return BlockResult()
    found: Array = np.zeros(len(objects), work.row_type)
    found["label"] = objects["label"]
    for name in (work.row_type.names or ())[2:]:
        found[name] = nan
    boxes = [_box(row) for row in objects]
    measured = np.zeros(len(objects), bool)
    for group, reach in _groups(work, boxes):
        _measure_group(work, volume, group, reach, boxes, found)
        measured[group] = True
    found["not_measured"] = ~measured
    stored = put_object(work.run.folder, _objects_key(number), rows_bytes(found))
    return BlockResult((stored,), [len(found), int(found["label"][0])])


def _groups(work: _BoxPass, boxes: list[Box]) -> Iterator[tuple[list[int], Box]]:
    """Part objects into groups whose boxes are read at once; what does not fit in memory is in none."""
    read = 2 * np.dtype(work.labels.dtype).itemsize
    if work.intensities:
        read += 2 * np.dtype(work.channels[0].dtype).itemsize
    measure = bytes_a_voxel(work.properties)
    room = max(work.memory - BASE, 0)
    order = sorted(range(len(boxes)), key=lambda index: [part.start for part in boxes[index]])
    return groups_that_fit(boxes, order, read, measure, room)


def _measure_group(work: _BoxPass, volume: int, group: list[int], reach: Box, boxes: list[Box], found: Array) -> None:
    labels = work.labels.read(volume, reach)
    if {*SHAPES, *MOMENTS} & set(work.properties):
        for index in group:
            mask = labels[inside(boxes[index], reach)] == int(found["label"][index])
            for name, value in shapes(mask, work.properties).items():
                found[name][index] = value
    names = found.dtype.names or ()
    for channel, source in enumerate(work.channels if work.intensities else ()):
        image = source.read(volume, reach)
        for index in group:
            here = inside(boxes[index], reach)
            values = image[here][labels[here] == int(found["label"][index])]
            median, percentiles = intensities(values, "intensity_median" in names, work.percentiles)
            if "intensity_median" in names:
                found["intensity_median"][index, channel] = median
            if "intensity_percentile" in names:
                found["intensity_percentile"][index, channel] = percentiles


def _box(row: Any) -> Box:
    return tuple(slice(int(a), int(b) + 1) for a, b in zip(row["first"], row["last"], strict=True))


def _side_by_side(rows: Array, more: Array) -> Array:
    """Join the fields of rows of the same objects."""
    joined: Array = np.empty(
        len(rows), _joined(rows.dtype, [entry for entry in more.dtype.descr if entry[0] != "label"])
    )
    for part in (rows, more):
        for name in part.dtype.names or ():
            joined[name] = part[name]
    return joined


def _joined(first: np.dtype[Any], more: list[Any]) -> np.dtype[Any]:
    return np.dtype([*first.descr, *more])
