"""Segmentation: smooth, threshold, fill holes, label, drop small objects, number; as a chain of passes.

Reference, on the whole volume::

    smooth = scipy.ndimage.gaussian_filter(volume, sigma)
    mask   = smooth > threshold                      (dark: <=)
    mask   = scipy.ndimage.binary_fill_holes(mask)   (if asked)
    labels = skimage.measure.label(mask, connectivity=connectivity)
    objects of fewer than min_size voxels dropped, ids 1..n by first voxel in raster order

No voxels are stored between passes: labelling a block again costs less than writing and reading
its provisional labels.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.merge import component_roots, face, number_components, touching_pairs
from chunkwise.blocks.passes import BlockResult, Executor, Workers, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.pyramid import write_pyramid
from chunkwise.ops.components import label, sizes_and_firsts
from chunkwise.ops.find_threshold import find_thresholds
from chunkwise.ops.gaussian import radius
from chunkwise.ops.smooth import SmoothedVolumes
from chunkwise.storage.writer import clear_errors, put_object, write_box

__all__ = ["SegmentParameters", "SegmentResult", "projected_memory", "segment"]

Array = np.ndarray[Any, Any]

BACKGROUND, OBJECTS = "background", "objects"

#: Resident memory of a worker that has everything imported and compiled, in bytes (measured: 250 MB).
WORKER_BASE = 260 * 10**6


@dataclass(frozen=True)
class SegmentParameters:
    """The options that decide the result."""

    threshold: str | float
    """Name of a method, or a number."""
    foreground: str
    """``bright`` or ``dark``."""
    connectivity: int
    fill_holes: bool
    min_size: int


@dataclass(frozen=True)
class SegmentResult:
    """What came out."""

    output: OutputImage
    thresholds: list[Any]
    counts: list[int]
    """Objects of each volume."""


@dataclass(frozen=True)
class _Work:
    """What the workers of the labelling passes are handed."""

    run: Run
    volumes: SmoothedVolumes
    parameters: SegmentParameters
    thresholds: list[Any]
    phase: str


def projected_memory(volumes: SmoothedVolumes) -> int:
    """Project what a worker holds at most, in bytes, so that what does not fit is refused before it starts.

    The write pass is the largest: a block with its halo, read and filtered from one array into
    another; its mask, labels and their table look-up; the unit it goes into, and its encoded form.
    """
    grid, item = volumes.grid, np.dtype(volumes.source.dtype).itemsize
    outer = prod(b + 2 * radius(volumes.sigma) for b in grid.block)
    return WORKER_BASE + outer * 3 * item + prod(grid.block) * (1 + 4 + 4 + 4) + prod(grid.unit) * 4 * 2


def segment(
    volumes: SmoothedVolumes,
    parameters: SegmentParameters,
    make_output: Callable[[str], OutputImage],
    executor: Executor,
    run: Run,
    workers: Workers,
) -> SegmentResult:
    """Segment every volume of a cut into the run's store.

    Parameters
    ----------
    volumes : SmoothedVolumes
        What to segment.
    parameters : SegmentParameters
        How.
    make_output : callable
        ``make_output(dtype) -> OutputImage``; the dtype is known only when the objects are counted.
    executor, run, workers
        Where the work is done, what is done already, who takes in what was used.

    Raises
    ------
    InputError
        If no threshold is found, or voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    if isinstance(parameters.threshold, str):
        thresholds = find_thresholds(parameters.threshold, volumes, executor, run, workers)
    else:
        thresholds = [parameters.threshold] * volumes.source.volumes
    phases = _Phases(volumes, parameters, thresholds, executor, run, workers)
    if parameters.fill_holes:
        phases.find_holes()
    counts = phases.number_objects()
    output = make_output("uint32" if max(counts) < 2**32 else "uint64")
    phases.write(output)
    write_pyramid(output, executor, run, workers)
    return SegmentResult(output, thresholds, counts)


@dataclass(frozen=True)
class _Phases:
    volumes: SmoothedVolumes
    parameters: SegmentParameters
    thresholds: list[Any]
    executor: Executor
    run: Run
    workers: Workers

    def map(self, name: str, function: Callable[[_Work, int], BlockResult], phase: str, count: int) -> dict[int, Any]:
        work = _Work(self.run, self.volumes, self.parameters, self.thresholds, phase)
        return map_pass(
            self.executor, self.run, name, function, work, count, voxels=self.volumes.voxels, workers=self.workers
        )

    def _label_and_join(self, phase: str) -> tuple[Array, Array]:
        """Label every block, and find which labels touch; gives offsets of blocks, and pairs."""
        count = self.volumes.n_blocks
        found = self.map("label" if phase == OBJECTS else "holes", _label_block, phase, count)
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum([found[number] for number in range(count)], out=offsets[1:])
        _save(self.run, f"scratch/{phase}/offsets.npy", offsets)
        joined = self.map("join" if phase == OBJECTS else "join-holes", _join_block, phase, count)
        pairs = [np.load(self.run.path(_pairs_key(phase, number))) for number in range(count) if joined[number]]
        return offsets, np.concatenate(pairs) if pairs else np.empty((0, 2), np.int64)

    def find_holes(self) -> None:
        """Which background components touch no edge of the volume: the holes, which are then filled."""
        offsets, pairs = self._label_and_join(BACKGROUND)
        roots = component_roots(pairs, int(offsets[-1]))
        outside = np.zeros(len(roots), bool)
        for number in range(self.volumes.n_blocks):
            with np.load(self.run.path(_block_key(BACKGROUND, number))) as content:
                outside[roots[offsets[number] + content["edge"].astype(np.int64) - 1]] = True
        _save(self.run, f"scratch/{BACKGROUND}/table.npy", np.concatenate(([False], ~outside[roots])))

    def number_objects(self) -> list[int]:
        """Join, drop, number; gives the number of objects of each volume."""
        offsets, pairs = self._label_and_join(OBJECTS)
        count = self.volumes.n_blocks
        sizes, firsts = np.empty(offsets[-1], np.int64), np.empty(offsets[-1], np.int64)
        for number in range(count):
            here = slice(offsets[number], offsets[number + 1])
            with np.load(self.run.path(_block_key(OBJECTS, number))) as content:
                sizes[here], firsts[here] = content["sizes"], content["firsts"]
        per_volume = np.diff(offsets[:: self.volumes.grid.n_blocks])
        owners = np.repeat(np.arange(self.volumes.source.volumes), per_volume)
        numbering = number_components(
            pairs, sizes, firsts, owners, self.volumes.source.volumes, self.parameters.min_size
        )
        _save(self.run, f"scratch/{OBJECTS}/table.npy", numbering.table)
        return [int(n) for n in numbering.counts]

    def write(self, output: OutputImage) -> None:
        """Write the final labels, a unit of whole shards at a time."""
        work = _Write(_Work(self.run, self.volumes, self.parameters, self.thresholds, OBJECTS), output)
        count = self.volumes.source.volumes * self.volumes.grid.n_units
        map_pass(
            self.executor, self.run, "write", _write_unit, work, count, voxels=self.volumes.voxels, workers=self.workers
        )


@dataclass(frozen=True)
class _Write:
    work: _Work
    output: OutputImage


def _mask(work: _Work, number: int) -> Array:
    volume, _ = work.volumes.place(number)
    smooth, threshold = work.volumes.read(number), work.thresholds[volume]
    mask = smooth <= threshold if work.parameters.foreground == "dark" else smooth > threshold
    return np.asarray(mask)


def _labels(work: _Work, number: int) -> Array:
    """Provisional labels of a block: of its background, or of its objects with holes filled."""
    mask = _mask(work, number)
    if work.phase == BACKGROUND:
        return label(~mask, 1)
    if work.parameters.fill_holes:
        mask |= _table(work.run, BACKGROUND, number)[label(~mask, 1)]
    return label(mask, work.parameters.connectivity)


def _table(run: Run, phase: str, number: int) -> Array:
    """The part of a phase's table that a block needs; entry 0 stands for no label."""
    offsets = np.load(run.path(f"scratch/{phase}/offsets.npy"), mmap_mode="r")
    table = np.load(run.path(f"scratch/{phase}/table.npy"), mmap_mode="r")
    return np.concatenate((table[:1], table[offsets[number] + 1 : offsets[number + 1] + 1]))


def _label_block(work: _Work, number: int) -> BlockResult:
    """Label a block, and keep what joining needs: sizes, first voxels, faces, labels at the volume's edge."""
    labels = _labels(work, number)
    grid = work.volumes.grid
    box = grid.block_box(work.volumes.place(number)[1])
    content: dict[str, Array] = {}
    if work.phase == OBJECTS:
        content["sizes"], content["firsts"] = sizes_and_firsts(labels, tuple(p.start for p in box), grid.shape)
    at_edge = [np.zeros(0, np.uint32)]
    for axis, (part, size) in enumerate(zip(box, grid.shape, strict=True)):
        for side, is_edge in ((-1, part.start == 0), (1, part.stop == size)):
            layer = face(labels, _toward(labels.ndim, axis, side))
            if is_edge:
                at_edge.append(np.unique(layer))
            else:
                content[f"face{axis}{side}"] = layer
    if work.phase == BACKGROUND:
        edge = np.unique(np.concatenate(at_edge))
        content["edge"] = edge[edge > 0]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **content)
    stored = put_object(work.run.folder, _block_key(work.phase, number), buffer.getvalue())
    return BlockResult((stored,), int(labels.max(initial=0)))


def _join_block(work: _Work, number: int) -> BlockResult:
    """Find which labels of a block touch those of the neighbours behind it."""
    grid = work.volumes.grid
    volume, block = work.volumes.place(number)
    offsets = np.load(work.run.path(f"scratch/{work.phase}/offsets.npy"), mmap_mode="r")
    connectivity = work.parameters.connectivity if work.phase == OBJECTS else 1
    found = []
    for direction, neighbour in grid.neighbours(block):
        if sum(1 for d in direction if d) > connectivity:
            continue
        other = volume * grid.n_blocks + neighbour
        back = tuple(-d for d in direction)
        pairs = touching_pairs(_face(work, number, direction), _face(work, other, back), direction, connectivity)
        if len(pairs):
            found.append(pairs + np.array([offsets[number], offsets[other]]))
    if not found:
        return BlockResult((), 0)
    buffer = io.BytesIO()
    np.save(buffer, np.concatenate(found))
    stored = put_object(work.run.folder, _pairs_key(work.phase, number), buffer.getvalue())
    return BlockResult((stored,), sum(map(len, found)))


def _face(work: _Work, number: int, direction: tuple[int, ...]) -> Array:
    """A face, edge or corner of a labelled block; edges and corners are the ends of a stored face."""
    axis = next(i for i, d in enumerate(direction) if d)
    with np.load(work.run.path(_block_key(work.phase, number))) as content:
        return face(content[f"face{axis}{direction[axis]}"], direction)


def _toward(ndim: int, axis: int, side: int) -> tuple[int, ...]:
    return tuple(side if i == axis else 0 for i in range(ndim))


def _write_unit(write: _Write, number: int) -> BlockResult:
    """Label the blocks of a unit once more, give them their final ids, and write the unit's shards."""
    work, grid = write.work, write.work.volumes.grid
    volume, unit = divmod(number, grid.n_units)
    box = grid.unit_box(unit)
    layout = write.output.layout(0)
    data = np.empty(tuple(part.stop - part.start for part in box), layout.dtype)
    for block in grid.blocks_of_unit(unit):
        inner = tuple(
            slice(b.start - u.start, b.stop - u.start) for b, u in zip(grid.block_box(block), box, strict=True)
        )
        block_number = volume * grid.n_blocks + block
        labels = _labels(work, block_number)
        data[inner] = _table(work.run, OBJECTS, block_number).astype(layout.dtype)[labels]
    full, shaped = write.output.place(volume, box, data)
    return BlockResult(tuple(write_box(work.run.store, "0", layout, full, shaped)))


def _block_key(phase: str, number: int) -> str:
    return f"scratch/{phase}/{number // 1000}/{number}.npz"


def _pairs_key(phase: str, number: int) -> str:
    return f"scratch/{phase}/{number // 1000}/{number}-pairs.npy"


def _save(run: Run, key: str, array: Array) -> None:
    """Write a table for the workers, whole or not at all."""
    path = run.path(key)
    with clear_errors(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=os.path.dirname(path), delete=False) as file:
            np.save(file, array)
        os.replace(file.name, path)
