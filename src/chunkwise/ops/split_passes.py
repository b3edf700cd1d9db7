"""Splitting the components of a label image into parts, over blocks; as a chain of passes.

==========  ===================================================================================
components  (made by the caller) the components' labels, as an array in ``scratch/``
boxes       every unit's components: voxels, bounding box, first voxel; merged by label
split       by object: every component is split once, by the unit that its first voxel lies in
write       the final labels, a unit of whole shards at a time
==========  ===================================================================================

A component is split from its own bounding box, whatever the blocks, so the parts are those of the whole
volume; how, a :class:`~chunkwise.ops.divider.Divider` says (:mod:`chunkwise.ops.split` is one way). One that is too
large for a worker's memory stays one object, and is named.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.boxes import groups_that_fit, inside
from chunkwise.blocks.grid import Box, Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import BASE, projected_memory
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.components import relabel, sizes_and_firsts
from chunkwise.ops.divider import Divider
from chunkwise.ops.moments import BlockMoments, merge_rows
from chunkwise.ops.part_files import PartFile, read_parts
from chunkwise.ops.row_files import RowFile, rows_bytes, sorted_batches
from chunkwise.ops.split import bytes_a_voxel, may_split, split
from chunkwise.ops.write_unit import empty_unit, write_unit
from chunkwise.storage.location import Location
from chunkwise.storage.outputs import new_file
from chunkwise.storage.writer import clear_errors, json_bytes, put_object

__all__ = ["COMPONENTS", "NAMED", "SplitParameters", "Splitting", "Unsplit", "memory_of"]

Array = np.ndarray[Any, Any]

#: Where the caller writes the components' labels.
COMPONENTS = "scratch/components"
#: Components that were too large are named up to this many.
NAMED = 20


@dataclass(frozen=True)
class SplitParameters:
    """The options that decide the parts where shape alone does: a :class:`Divider`."""

    spacing: tuple[float, ...]
    """Edges of a voxel, the smallest 1."""
    min_distance: int
    """Seeds lie at least so many voxels apart."""

    @property
    def bytes_read(self) -> int:
        """Nothing is read beside the components."""
        return 0

    @property
    def bytes_a_voxel(self) -> int:
        """Of distances and queues."""
        return bytes_a_voxel(self.spacing)

    def may_divide(self, extents: Array) -> Array:
        """Whether there is room for two seeds."""
        return may_split(extents, self.min_distance)

    def read(self, volume: int, box: Box) -> None:
        """The components are enough."""

    def divide(self, mask: Array, maps: Array | None, connectivity: int) -> tuple[Array, int]:
        """Part a component at its waists."""
        return split(mask, self.spacing, self.min_distance, connectivity)


@dataclass(frozen=True)
class Unsplit:
    """A component that was too large for memory, and stayed one object."""

    volume: int
    label: int
    """Its final one; 0 where it was dropped."""
    box: tuple[tuple[int, int], ...]
    """First voxel, and the one after the last, of each axis."""
    voxels: int


def memory_of(grid: Grid) -> int:
    """Project what a worker needs, in bytes, components aside: they are held against what is left of its memory.

    A unit: its components, its labels and their encoded form, and their tables (measured: 18 bytes a voxel).
    """
    return projected_memory(grid, unit=2 * 4 + 4 + 4 + 4)


@dataclass(frozen=True)
class _SplitPass:
    """What the workers of the passes are handed."""

    run: Run
    components: VolumeSource
    grid: Grid
    divider: Divider
    connectivity: int
    memory: int
    output: OutputImage | None = None

    def read(self, volume: int, box: Box) -> Array:
        return self.components.read(volume, box)

    def unit(self, number: int) -> tuple[int, int, Box]:
        """Volume, unit of it and box that a number stands for."""
        volume, unit = divmod(number, self.grid.n_units)
        return volume, unit, self.grid.unit_box(unit)

    def rows(self, number: int) -> Array | None:
        """The rows of the components that a unit has voxels of, each merged over all units."""
        path = self.run.path(_boxes_key(number))
        if not os.path.exists(path):
            return None
        table = np.load(self.run.path(_table_key(number // self.grid.n_units)), mmap_mode="r")
        return np.asarray(table[np.load(path)["label"].astype(np.int64) - 1])

    def owners(self, rows: Array) -> Array:
        """Units that the components' first voxels lie in."""
        places = np.unravel_index(rows["start"], self.grid.shape)
        units = [place // size for place, size in zip(places, self.grid.unit, strict=True)]
        return np.asarray(np.ravel_multi_index(units, self.grid.units_shape))

    def large_enough(self, rows: Array) -> Array:
        """The rows of components that may have two parts."""
        return np.asarray(rows[self.divider.may_divide(rows["last"] - rows["first"] + 1)])

    def box(self, row: Any) -> Box:
        """A component's bounding box, padded by one voxel and clipped at the volume."""
        return tuple(
            slice(max(int(a) - 1, 0), min(int(b) + 2, size))
            for a, b, size in zip(row["first"], row["last"], self.grid.shape, strict=True)
        )


class Splitting:
    """The splitting of every volume of a cut, in progress.

    Parameters
    ----------
    components : OutputImage
        The components' labels, 1..n in the order of their first voxels; whole at :data:`COMPONENTS`.
    counts : list of int
        Components of each volume.
    connectivity : int
        Of the components.
    grid : Grid
        Of a volume; a unit is worked on at once.
    divider : Divider
        How a component is parted.
    job : Job
        Where the work is done, and what is done already.
    """

    def __init__(
        self, components: OutputImage, counts: list[int], connectivity: int, grid: Grid, divider: Divider, job: Job
    ) -> None:
        run = job.run
        put_object(run.folder, f"{COMPONENTS}/zarr.json", json_bytes(components.layout(0).document()))
        source = VolumeSource(
            array=Location(run.path(COMPONENTS)),
            axes="".join(axis.name for axis in components.axes),
            channel=0,
            origin=(0,) * len(grid.shape),
            shape=grid.shape,
            first_time=0,
            volumes=components.n_volumes,
            dtype=components.dtype,
        )
        self._work = _SplitPass(run, source, grid, divider, connectivity, job.memory)
        self._counts, self._job = counts, job

    def number_parts(self, min_size: int) -> tuple[list[int], list[Unsplit], int]:
        """Split, drop parts and objects of fewer voxels, number the others by their first voxel in raster order.

        Returns
        -------
        counts : list of int
            Objects of each volume.
        unsplit : list of Unsplit
            The first :data:`NAMED` components that were too large.
        n_unsplit : int
            How many there are.
        """
        boxes = self._map("boxes", _boxes_of_unit, self._work)
        for volume, count in enumerate(self._counts):
            self._merge_boxes(volume, count, boxes)
        found = self._map("split", _split_unit, self._work)
        counts, unsplit = [], []
        for volume in range(len(self._counts)):
            count, labels = self._number(volume, found, min_size)
            counts.append(count)
            for number in self._numbers(volume):
                for label, box, voxels in found.get(number, {}).get("unsplit", []):
                    unsplit.append(Unsplit(volume, int(labels[label - 1]), tuple((a, b) for a, b in box), voxels))
        return counts, unsplit[:NAMED], sum(entry.get("n_unsplit", 0) for entry in found.values())

    def write(self, output: OutputImage) -> None:
        """Write the final labels into the run's store."""
        self._map("write", _write_unit, replace(self._work, output=output))

    def _map(self, name: str, function: Any, work: _SplitPass) -> dict[int, Any]:
        grid, volumes = work.grid, work.components.volumes
        voxels = volumes * prod(grid.shape)
        count = volumes * grid.n_units
        return map_pass(self._job, name, function, work, count, voxels=voxels, grid=grid, units=True)

    def _numbers(self, volume: int) -> range:
        count = self._work.grid.n_units
        return range(volume * count, (volume + 1) * count)

    def _merge_boxes(self, volume: int, count: int, found: dict[int, Any]) -> None:
        """Merge the units' rows by label into one table on disk, without holding it in memory."""
        run = self._work.run
        files = [RowFile(run.path(_boxes_key(n)), *found[n]) for n in self._numbers(volume) if n in found]
        path = run.path(_table_key(volume))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        head = {"descr": np.lib.format.dtype_to_descr(_row_type(len(self._work.grid.shape))), "fortran_order": False}
        with new_file(path) as temporary, clear_errors(path), open(temporary, "wb") as file:
            np.lib.format.write_array_header_2_0(file, head | {"shape": (count,)})
            for batch in sorted_batches(files):
                merged = merge_rows(batch)
                firsts = np.flatnonzero(np.concatenate(([True], batch["label"][1:] != batch["label"][:-1])))
                merged["start"] = np.minimum.reduceat(batch["start"], firsts)
                file.write(merged.tobytes())

    def _number(self, volume: int, found: dict[int, Any], min_size: int) -> tuple[int, Array]:
        """Number a volume's objects: components that were not split, and parts of those that were."""
        run, units = self._work.run, self._numbers(volume)
        if not self._counts[volume]:
            return 0, np.empty(0, np.uint64)
        table = np.load(run.path(_table_key(volume)), mmap_mode="r")
        whole = np.ones(len(table), bool)
        firsts, sizes, offsets = [], [], [0]
        for number in units:
            parts = found.get(number, {}).get("parts", 0)
            offsets.append(offsets[-1] + parts)
            if parts:
                with np.load(run.path(_parts_key(number))) as content:
                    whole[content["labels"].astype(np.int64) - 1] = False
                    firsts.append(content["firsts"])
                    sizes.append(content["sizes"])
        n_whole = int(whole.sum())
        first = np.concatenate([table["start"][whole], *firsts])
        size = np.concatenate([table["count"][whole], *sizes])
        kept = np.flatnonzero(size >= min_size)
        ids = np.zeros(len(first), np.uint64)
        ids[kept[np.argsort(first[kept])]] = np.arange(1, len(kept) + 1, dtype=np.uint64)
        labels = np.zeros(len(table), np.uint64)
        labels[whole] = ids[:n_whole]
        for key, array in (("labels", labels), ("parts", ids[n_whole:]), ("offsets", np.array(offsets, np.int64))):
            put_object(run.folder, _ids_key(key, volume), rows_bytes(array))
        return len(kept), labels


def _row_type(ndim: int) -> np.dtype[Any]:
    """A component's row: voxels, corners of its box (the last included), raster index of its first voxel."""
    return np.dtype(
        [("label", "u8"), ("count", "i8"), ("first", "i8", (ndim,)), ("last", "i8", (ndim,)), ("start", "i8")]
    )


def _boxes_of_unit(work: _SplitPass, number: int) -> BlockResult:
    volume, _, box = work.unit(number)
    labels = work.read(volume, box)
    if not labels.any():
        return BlockResult()
    moments = BlockMoments(labels, tuple(part.start for part in box))
    rows = np.empty(len(moments.rows), _row_type(labels.ndim))
    for name in ("label", "count", "first", "last"):
        rows[name] = moments.rows[name]
    rows["start"] = moments.first_voxels(work.grid.shape)
    stored = put_object(work.run.folder, _boxes_key(number), rows_bytes(rows))
    return BlockResult((stored,), [len(rows), int(rows["label"][0])])


def _split_unit(work: _SplitPass, number: int) -> BlockResult:
    """Split the components whose first voxel lies in a unit; what is kept are the parts of those that have several."""
    volume, unit, _ = work.unit(number)
    rows = work.rows(number)
    if rows is None:
        return BlockResult()
    mine = work.large_enough(rows[work.owners(rows) == unit])
    # What was read of the volume, and the component at work in it, have to fit beside each other.
    room = max(work.memory - BASE, 0)
    a_read = 2 * np.dtype(work.components.dtype).itemsize + work.divider.bytes_read
    boxes = [work.box(row) for row in mine]
    kept = PartFile()
    fitted: set[int] = set()
    for group, reach in groups_that_fit(boxes, range(len(boxes)), a_read, work.divider.bytes_a_voxel, room):
        _split_group(work, volume, [mine[index] for index in group], reach, kept)
        fitted.update(group)
    large = [row for index, row in enumerate(mine) if index not in fitted]
    data: dict[str, Any] = {}
    if large:
        named = [
            [
                int(row["label"]),
                list(zip(row["first"].tolist(), (row["last"] + 1).tolist(), strict=True)),
                int(row["count"]),
            ]
            for row in large[:NAMED]
        ]
        data |= {"unsplit": named, "n_unsplit": len(large)}
    if not kept.labels:
        return BlockResult((), data)
    stored = put_object(work.run.folder, _parts_key(number), kept.content())
    return BlockResult((stored,), data | {"parts": sum(kept.counts)})


def _split_group(work: _SplitPass, volume: int, group: list[Any], reach: Box, kept: PartFile) -> None:
    """Split components from one reading of the box around them all."""
    labels, maps = work.read(volume, reach), work.divider.read(volume, reach)
    for row in group:
        box = work.box(row)
        here = inside(box, reach)
        mask = _alone(labels[here], row["label"])
        if len(group) == 1:
            del labels
        parts, count = work.divider.divide(
            mask, None if maps is None else maps[(slice(None), *here)], work.connectivity
        )
        if count > 1:
            origin = tuple(part.start for part in box)
            sizes, firsts = sizes_and_firsts(parts.view(np.uint32), origin, work.grid.shape)
            kept.add(int(row["label"]), box, parts, sizes, firsts)


def _alone(labels: Array, label: Any) -> Array:
    """One component, its neighbours taken away."""
    return np.asarray(labels == label)


def _write_unit(work: _SplitPass, number: int) -> BlockResult:
    """Give a unit's components their final ids, paste the parts of those that were split, and write its shards."""
    assert work.output is not None
    volume, _, box = work.unit(number)
    rows = work.rows(number)
    if rows is None:
        return empty_unit(work.output, box)
    ids = np.load(work.run.path(_ids_key("labels", volume)), mmap_mode="r")
    final = np.asarray(ids[rows["label"].astype(np.int64) - 1]).astype(work.output.dtype)
    data = np.empty(tuple(part.stop - part.start for part in box), final.dtype)
    relabel(work.read(volume, box), rows["label"], final, data)
    candidates = work.large_enough(rows)
    owners = work.owners(candidates)
    for owner in np.unique(owners):
        _paste(work, volume, int(owner), candidates["label"][owners == owner], box, data)
    return write_unit(work.run, work.output, box, {volume: data})


def _paste(work: _SplitPass, volume: int, owner: int, labels: Array, box: Box, data: Array) -> None:
    """Put the parts of some components into a unit's data."""
    begin, end = np.load(work.run.path(_ids_key("offsets", volume)), mmap_mode="r")[owner : owner + 2].tolist()
    if begin == end:
        return
    ids = np.load(work.run.path(_ids_key("parts", volume)), mmap_mode="r")[begin:end]
    path = work.run.path(_parts_key(volume * work.grid.n_units + owner))
    for here, parts, numbers in read_parts(path, labels, box):
        table = np.concatenate(([0], ids[numbers])).astype(data.dtype)
        np.copyto(data[here], table[parts], where=parts > 0)


def _boxes_key(number: int) -> str:
    return f"scratch/boxes/{number // 1000}/{number}.npy"


def _parts_key(number: int) -> str:
    return f"scratch/parts/{number // 1000}/{number}.npz"


def _table_key(volume: int) -> str:
    return f"scratch/boxes/table-{volume}.npy"


def _ids_key(what: str, volume: int) -> str:
    return f"scratch/parts/{what}-{volume}.npy"
