"""Labelling a mask over blocks: holes, components, joining, numbering, writing; as a chain of passes.

======  =======================================================================================
holes   background components of every block (only where holes are to be filled)
label   components of every block's mask: sizes, first voxels, faces; the mask itself as bits
join    which labels touch those of the blocks behind (after ``holes`` and after ``label``)
write   the final labels, a unit of whole shards at a time
======  =======================================================================================
"""

from __future__ import annotations

import io
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.job import Job
from chunkwise.blocks.merge import Components, face, touching_pairs
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage
from chunkwise.ops.components import label, look_up, sizes_and_firsts
from chunkwise.ops.row_files import rows_bytes
from chunkwise.ops.volumes import BlockedVolumes
from chunkwise.ops.write_unit import FULL, write_unit
from chunkwise.storage.writer import StoredObject, compress, decompress, put_object

__all__ = ["HEADERS", "Labelling", "load_small", "read_ahead"]

Array = np.ndarray[Any, Any]

BACKGROUND, OBJECTS = "background", "objects"


@dataclass(frozen=True)
class _LabelPass:
    """What the workers of the labelling passes are handed."""

    run: Run
    volumes: BlockedVolumes
    thresholds: list[Any]
    dark: bool
    connectivity: int
    """Of the labels that this pass makes: background is always connected across faces only."""
    phase: str
    holes_known: bool
    planes: bool
    """Whether the background of each plane is looked at alone."""
    sized: bool
    """Whether voxels are counted."""


@dataclass
class Labelling:
    """The labelling of every volume of a cut, in progress.

    Parameters
    ----------
    volumes : BlockedVolumes
        What the mask is taken from.
    thresholds : list
        One a volume.
    dark : bool
        Whether the mask is ``<= threshold``.
    connectivity : int
        Of the objects.
    job : Job
        Where the work is done, and what is done already.
    """

    volumes: BlockedVolumes
    thresholds: list[Any]
    dark: bool
    connectivity: int
    job: Job
    planes: bool = False
    """Whether holes are those of each plane (y, x)."""
    hole_size: int | None = None
    """Holes are background components of at most so many voxels; else those that touch no edge of the volume."""
    _holes_known: bool = field(default=False, init=False)

    def find_holes(self) -> None:
        """Find which background components are holes, which are then filled."""
        offsets, components = self._label_and_join(BACKGROUND)
        if self.hole_size is None:
            roots = components.roots()
            outside = np.zeros(len(roots), bool)
            for number, (edge,) in self._tables(BACKGROUND, "edge"):
                outside[roots[offsets[number] + edge.astype(np.int64) - 1]] = True
        else:
            for number, (sizes, firsts) in self._tables(BACKGROUND, "sizes", "firsts"):
                components.describe(int(offsets[number]), sizes, firsts)
            roots, voxels = components.totals()
            outside = voxels > self.hole_size
        table = np.concatenate(([False], ~outside[roots]))
        put_object(self.job.run.folder, f"scratch/{BACKGROUND}/table.npy", rows_bytes(table))
        self._holes_known = True

    def filler(self) -> Callable[[int], Array]:
        """What gives, on a worker, the mask of a block with its holes filled; they have to be found."""
        return partial(_mask, self._work(OBJECTS))

    def number_objects(self, min_size: int) -> list[int]:
        """Join the objects, drop those of fewer voxels, number the others; gives how many each volume has."""
        offsets, components = self._label_and_join(OBJECTS)
        for number, (sizes, firsts) in self._tables(OBJECTS, "sizes", "firsts"):
            components.describe(int(offsets[number]), sizes, firsts)
        by_volume = offsets[:: self.volumes.grid.n_blocks]
        return components.number(by_volume, min_size, self.job.run.path(f"scratch/{OBJECTS}/table.npy"))

    def write(self, output: OutputImage, array: str = FULL, name: str = "write") -> None:
        """Write the final labels.

        Parameters
        ----------
        output : OutputImage
            Whose full level is written.
        array : str
            Key of the array, in the store or below ``scratch/``.
        name : str
            Of the pass.
        """
        work = _Write(self._work(OBJECTS), output, array)
        self._map(name, _write_unit, work, units=True)

    def _work(self, phase: str) -> _LabelPass:
        connectivity = self.connectivity if phase == OBJECTS else 1
        return _LabelPass(
            self.job.run,
            self.volumes,
            self.thresholds,
            self.dark,
            connectivity,
            phase,
            holes_known=self._holes_known,
            planes=self.planes,
            sized=phase == OBJECTS or self.hole_size is not None,
        )

    def _map(
        self, name: str, function: Callable[[Any, int], BlockResult], work: Any, units: bool = False
    ) -> dict[int, Any]:
        volumes, grid = self.volumes, self.volumes.grid
        return map_pass(
            self.job,
            name,
            function,
            work,
            volumes.source.volumes * grid.n_units if units else volumes.n_blocks,
            voxels=volumes.voxels,
            grid=grid,
            units=units,
        )

    def _label_and_join(self, phase: str) -> tuple[Array, Components]:
        """Label every block, and join what touches; gives how many labels come before each block, and them all."""
        count = self.volumes.n_blocks
        found = self._map("label" if phase == OBJECTS else "holes", _label_block, self._work(phase))
        offsets = np.zeros(count + 1, np.int64)
        np.cumsum(np.fromiter((found[number] for number in range(count)), np.int64, count), out=offsets[1:])
        put_object(self.job.run.folder, f"scratch/{phase}/offsets.npy", rows_bytes(offsets))
        joined = self._map("join" if phase == OBJECTS else "join-holes", _join_block, self._work(phase))
        components = Components(self.job.run.path(f"scratch/{phase}/joined"), int(offsets[-1]))

        def load(number: int) -> Array:
            (pairs,) = load_small(self.job.run.path(_pairs_key(phase, number)))
            return pairs

        for _, pairs in read_ahead(load, sorted(joined)):
            components.join(pairs)
        return offsets, components

    def _tables(self, phase: str, *names: str) -> Iterator[tuple[int, tuple[Array, ...]]]:
        """What every block's labelling left under some names, block by block."""

        def load(number: int) -> tuple[Array, ...]:
            return load_small(self.job.run.path(_block_key(phase, number)), *names)

        return read_ahead(load, range(self.volumes.n_blocks))


#: NumPy reads a file's header with `ast.literal_eval`, which in Python 3.11 fails now and then in two threads at once
#: (SystemError: AST constructor recursion depth mismatch, CPython issue 106905).
HEADERS = threading.Lock()


def load_small(path: str, *names: str) -> tuple[Array, ...]:
    """Load a small .npy file, or the named arrays of an .npz file, in any thread; the waiting is done side by side."""
    with open(path, "rb") as file:
        content = io.BytesIO(file.read())
    with HEADERS:
        loaded = np.load(content)
        return tuple(loaded[name] for name in names) if names else (loaded,)


#: Threads that read ahead, and files that each reads before it hands them over.
AHEAD, AT_ONCE = 8, 32


def read_ahead(load: Callable[[int], Any], numbers: Iterable[int]) -> Iterator[tuple[int, Any]]:
    """Load the small files of many blocks in order; on a shared file system each would be waited for."""
    source = iter(numbers)

    def some(part: list[int]) -> list[tuple[int, Any]]:
        return [(number, load(number)) for number in part]

    with ThreadPoolExecutor(AHEAD) as threads:
        waiting: deque[Future[list[tuple[int, Any]]]] = deque()
        while True:
            while len(waiting) < 2 * AHEAD and (part := list(islice(source, AT_ONCE))):
                waiting.append(threads.submit(some, part))
            if not waiting:
                return
            yield from waiting.popleft().result()


@dataclass(frozen=True)
class _Write:
    work: _LabelPass
    output: OutputImage
    array: str


def _mask(work: _LabelPass, number: int) -> Array:
    """The mask that a block's labels are taken from, with holes filled once they are known."""
    if work.holes_known:
        mask = _load_mask(work, BACKGROUND, number)
        mask |= _table(work.run, BACKGROUND, number)[label(~mask, 1, work.planes)]
        return mask
    volume, _ = work.volumes.place(number)
    return work.volumes.mask(number, work.thresholds[volume], work.dark)


def _keep_mask(work: _LabelPass, number: int, mask: Array) -> StoredObject:
    """Keep a mask as compressed bits, so that no later pass reads and smooths the block again."""
    return put_object(work.run.folder, _mask_key(work.phase, number), compress(np.packbits(mask).tobytes()))


def _load_mask(work: _LabelPass, phase: str, number: int) -> Array:
    with open(work.run.path(_mask_key(phase, number)), "rb") as file:
        bits = np.frombuffer(decompress(file.read()), np.uint8)
    grid = work.volumes.grid
    shape = tuple(part.stop - part.start for part in grid.block_box(work.volumes.place(number)[1]))
    return np.unpackbits(bits, count=int(np.prod(shape))).view(np.bool_).reshape(shape)


def _table(run: Run, phase: str, number: int) -> Array:
    """The part of a phase's table that a block needs; entry 0 stands for no label."""
    with HEADERS:
        offsets = np.load(run.path(f"scratch/{phase}/offsets.npy"), mmap_mode="r")
        table = np.load(run.path(f"scratch/{phase}/table.npy"), mmap_mode="r")
    return np.concatenate((table[:1], table[offsets[number] + 1 : offsets[number + 1] + 1]))


def _label_block(work: _LabelPass, number: int) -> BlockResult:
    """Label a block, and keep what joining needs: sizes, first voxels, faces, labels at the volume's edge."""
    mask = _mask(work, number)
    kept = _keep_mask(work, number, mask)
    planes = work.planes and work.phase == BACKGROUND
    labels = label(~mask if work.phase == BACKGROUND else mask, work.connectivity, planes)
    grid = work.volumes.grid
    box = grid.block_box(work.volumes.place(number)[1])
    content: dict[str, Array] = {}
    if work.sized:
        content["sizes"], content["firsts"] = sizes_and_firsts(labels, tuple(p.start for p in box), grid.shape)
    at_edge = [np.zeros(0, np.uint32)]
    for axis, (part, size) in enumerate(zip(box, grid.shape, strict=True)):
        if planes and axis == labels.ndim - 3:  # nothing touches, or ends, along it
            continue
        for side, is_edge in ((-1, part.start == 0), (1, part.stop == size)):
            layer = face(labels, _toward(labels.ndim, axis, side))
            if is_edge:
                at_edge.append(np.unique(layer))
            else:
                content[f"face{axis}{side}"] = layer
    if work.phase == BACKGROUND:
        lasting = getattr(work.volumes, "lasting", None)  # what is no hole although it is enclosed, or open and one
        edge = np.unique(np.concatenate(at_edge) if lasting is None else labels[lasting(number)])
        content["edge"] = edge[edge > 0]
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **content)
    stored = put_object(work.run.folder, _block_key(work.phase, number), buffer.getvalue())
    return BlockResult((stored, kept), int(labels.max(initial=0)))


def _join_block(work: _LabelPass, number: int) -> BlockResult:
    """Find which labels of a block touch those of the neighbours behind it."""
    grid = work.volumes.grid
    volume, block = work.volumes.place(number)
    with HEADERS:
        offsets = np.load(work.run.path(f"scratch/{work.phase}/offsets.npy"), mmap_mode="r")
    found = []
    for direction, neighbour in grid.neighbours(block):
        across_planes = work.planes and work.phase == BACKGROUND and any(direction[:-2])
        if across_planes or sum(1 for d in direction if d) > work.connectivity:
            continue
        other = volume * grid.n_blocks + neighbour
        back = tuple(-d for d in direction)
        pairs = touching_pairs(_face(work, number, direction), _face(work, other, back), direction, work.connectivity)
        if len(pairs):
            found.append(pairs + np.array([offsets[number], offsets[other]]))
    if not found:
        return BlockResult()
    stored = put_object(work.run.folder, _pairs_key(work.phase, number), rows_bytes(np.concatenate(found)))
    return BlockResult((stored,), sum(map(len, found)))


def _face(work: _LabelPass, number: int, direction: tuple[int, ...]) -> Array:
    """A face, edge or corner of a labelled block; edges and corners are the ends of a stored face."""
    axis = next(i for i, d in enumerate(direction) if d)
    with HEADERS, np.load(work.run.path(_block_key(work.phase, number))) as content:
        return face(content[f"face{axis}{direction[axis]}"], direction)


def _toward(ndim: int, axis: int, side: int) -> tuple[int, ...]:
    return tuple(side if i == axis else 0 for i in range(ndim))


def _write_unit(write: _Write, number: int) -> BlockResult:
    """Label the blocks of a unit once more, give them their final ids, and write the unit's shards."""
    work, grid = write.work, write.work.volumes.grid
    volume, unit = divmod(number, grid.n_units)
    box = grid.unit_box(unit)
    data = np.empty(tuple(part.stop - part.start for part in box), write.output.dtype)
    for block in grid.blocks_of_unit(unit):
        inner = inside(grid.block_box(block), box)
        block_number = volume * grid.n_blocks + block
        labels = label(_load_mask(work, OBJECTS, block_number), work.connectivity)
        look_up(_table(work.run, OBJECTS, block_number).astype(data.dtype), labels, data[inner])
    return write_unit(work.run, write.output, box, {volume: data}, write.array)


def _block_key(phase: str, number: int) -> str:
    return f"scratch/{phase}/{number // 1000}/{number}.npz"


def _mask_key(phase: str, number: int) -> str:
    return f"scratch/{phase}/{number // 1000}/{number}.mask"


def _pairs_key(phase: str, number: int) -> str:
    return f"scratch/{phase}/{number // 1000}/{number}-pairs.npy"
