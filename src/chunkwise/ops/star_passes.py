"""Objects from probabilities and distances along rays, over blocks; as a chain of passes.

========  =====================================================================================
radius    reduce: the largest polygon of a volume, which says how far blocks have to look
decide-n  every block decides of the candidates whose centres lie in it, as far as its window shows; candidates that
          wait for others are decided in the next round, when those are known: until none is left
count     pixels of each object that none before it covers, and the first of them
write     the final labels, a unit of whole shards at a time
========  =====================================================================================

A block owns the objects whose centres lie in it. No candidate is decided before all are that it hangs on, so the
result is that of the whole image (:mod:`chunkwise.ops.star_polygons` says what that is), whatever the blocks. What
is out of sight are polygons that reach further than ``max_radius``: they are left out, counted, and the largest named.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Box, Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.blocks.passes import BlockResult, map_pass, reduce_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.pyramid import write_pyramid
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.maps import Maps
from chunkwise.ops.objects import ObjectParameters
from chunkwise.ops.row_files import rows_bytes
from chunkwise.ops.star_polygons import LOST, OPEN, decide, draw, reach_of, visible
from chunkwise.ops.write_labels import LabelResult, label_type
from chunkwise.ops.write_unit import write_unit
from chunkwise.storage.writer import put_object

__all__ = ["StarResult", "find_stars", "memory_of"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class StarResult(LabelResult):
    """What came out."""

    left_out: list[dict[str, int]] = field(default_factory=list)
    """Of each volume: ``count`` of candidates beyond the largest radius; of the largest ``radius`` and ``place``."""
    rounds: int = 0
    """That it took until every candidate was decided."""


@dataclass(frozen=True)
class _StarPass:
    """What the workers of the passes are handed."""

    run: Run
    grid: Grid
    probability: Maps
    distances: tuple[VolumeSource, ...]
    values: dict[str, Any]
    radius: tuple[int, ...] = ()
    """Pixels that polygons of each volume reach at most."""
    round: int = 0
    output: OutputImage | None = None

    @property
    def volumes(self) -> int:
        return self.probability.sources[0].volumes

    def candidates(self, volume: int, box: Box) -> _Stars:
        """The candidates of a box in the order in which they are taken; those that reach too far are lost."""
        chance = self.probability.read(volume, box)[0]
        at = np.flatnonzero(chance > self.values["threshold"])
        order = np.argsort(-chance.ravel()[at], kind="stable")
        at = at[order]
        y, x = np.unravel_index(at, chance.shape)
        places = np.stack([y + box[0].start, x + box[1].start], axis=1).astype(np.int64)
        rays = np.empty((len(at), len(self.distances)), np.float32)
        for number, source in enumerate(self.distances):
            values = Maps((source,)).read(volume, box)[0].ravel()[at]
            rays[:, number] = values.astype(np.float32) / np.float32(self.values["grid"])
        stars = _Stars.new(places, chance.ravel()[at].astype(np.float64), rays)
        stars.state[reach_of(rays) - 1 > self.values["max_radius"]] = LOST
        return stars


@dataclass(frozen=True)
class _Stars:
    """Candidates, and what is known of them."""

    places: Array
    """(n, 2), in the volume."""
    chances: Array
    rays: Array
    state: Array
    ids: Array
    """Final labels, once they are known."""

    @classmethod
    def new(cls, places: Array, chances: Array, rays: Array) -> _Stars:
        count = len(places)
        return cls(places, chances, rays, np.zeros(count, np.uint8), np.zeros(count, np.uint64))

    def __len__(self) -> int:
        return len(self.places)

    def those(self, which: Array) -> _Stars:
        return _Stars(*(values[which] for values in vars(self).values()))

    def within(self, box: Box) -> Array:
        """Which centres lie in a box."""
        y, x = self.places[:, 0], self.places[:, 1]
        return np.asarray((y >= box[0].start) & (y < box[0].stop) & (x >= box[1].start) & (x < box[1].stop))

    def content(self) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, places=self.places, chances=self.chances, rays=self.rays, state=self.state)
        return buffer.getvalue()

    @classmethod
    def joined(cls, parts: list[_Stars]) -> _Stars:
        """Put candidates of several blocks together, in the order in which they are taken."""
        whole = [np.concatenate(values) for values in zip(*(vars(part).values() for part in parts), strict=True)]
        stars = cls(*whole)
        return stars.those(np.lexsort((stars.places[:, 1], stars.places[:, 0], -stars.chances)))


def memory_of(grid: Grid, dtype: str, rays: int, max_radius: int) -> int:
    """Project what a worker needs, in bytes: a window in which every pixel is a candidate, and the unit."""
    candidate = 3 * np.dtype(dtype).itemsize + 8 + rays * 4 + 96
    return projected_memory(grid, outer=candidate, reach=(2 * max_radius,) * len(grid.shape), unit=2 * 4)


def find_stars(
    channels: dict[str, VolumeSource],
    distances: tuple[VolumeSource, ...],
    grid: Grid,
    parameters: ObjectParameters,
    make_output: Callable[[str], OutputImage],
    job: Job,
) -> StarResult:
    """Make objects of every image's polygons, as :func:`chunkwise.ops.objects.find_objects` makes them of maps.

    Parameters
    ----------
    channels : dict
        ``probability``.
    distances : tuple of VolumeSource
        One a ray.
    grid : Grid
        Of an image, 2-D.
    """
    work = _StarPass(job.run, grid, Maps((channels["probability"],)), distances, parameters.values)
    pixels, count = work.volumes * prod(grid.shape), work.volumes * grid.n_blocks

    def pass_over(name: str, function: Any, context: _StarPass, units: bool = False) -> dict[int, Any]:
        number = work.volumes * grid.n_units if units else count
        return map_pass(job, name, function, context, number, voxels=pixels, grid=grid, units=units)

    by_volume = [range(v * grid.n_blocks, (v + 1) * grid.n_blocks) for v in range(work.volumes)]
    found = reduce_pass(job, "radius", _radius_of_block, _larger, work, by_volume, _as_found, voxels=pixels, grid=grid)
    work = replace(work, radius=tuple(found[volume]["reach"] for volume in range(work.volumes)))
    waiting = 1
    while waiting:
        work = replace(work, round=work.round + 1)
        waiting = sum(pass_over(f"decide-{work.round}", _decide_block, work).values())
    sizes = pass_over("count", _count_block, work)
    counts = [_number(work, volume, sizes, parameters.values["min_size"]) for volume in range(work.volumes)]
    output = make_output(label_type(counts))
    pass_over("write", _write_unit, replace(work, output=output), units=True)
    write_pyramid(output, job)
    left_out = [found[volume]["left_out"] for volume in range(work.volumes)]
    return StarResult(output, counts, left_out=left_out, rounds=work.round)


# --- radius ---


def _radius_of_block(work: _StarPass, number: int) -> dict[str, Any]:
    volume, block = divmod(number, work.grid.n_blocks)
    stars = work.candidates(volume, work.grid.block_box(block))
    reach = reach_of(stars.rays) - 1
    beyond = np.flatnonzero(stars.state == LOST)
    worst = {"count": len(beyond), "radius": 0, "place": -1}
    if len(beyond):
        # Of several of the largest radius the first in raster order, so that the order of blocks does not show.
        flat = np.ravel_multi_index(tuple(stars.places[beyond].T), work.grid.shape)
        first = np.lexsort((flat, -reach[beyond]))[0]
        worst |= {"radius": int(reach[beyond][first]), "place": int(flat[first])}
    return {"reach": int(reach[stars.state != LOST].max(initial=0)) + 1, "left_out": worst}


def _larger(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    worst = min(a["left_out"], b["left_out"], key=lambda entry: (-entry["radius"], entry["place"]))
    both = a["left_out"]["count"] + b["left_out"]["count"]
    return {"reach": max(a["reach"], b["reach"]), "left_out": worst | {"count": both}}


def _as_found(_: int, found: dict[str, Any]) -> dict[str, Any]:
    return found


# --- decide ---


def _decide_block(work: _StarPass, number: int) -> BlockResult:
    """Decide of a block's own candidates; its number says how many still wait."""
    volume, block = divmod(number, work.grid.n_blocks)
    box, radius = work.grid.block_box(block), work.radius[volume]
    if work.round == 1:
        # Twice as far as a conflict reaches, because then hardly anything has to wait.
        outer = work.grid.halo_box(box, (min(4 * radius, 2 * work.values["max_radius"] + 2),) * 2)
        stars = work.candidates(volume, outer)
        whole = _in_sight(stars, outer, work.grid.shape, radius)
    else:
        own = _load(work, number, work.round - 1)
        if not (own.state == OPEN).any():
            stars, whole = own, np.empty(0, bool)
        else:
            outer = work.grid.halo_box(box, (2 * radius,) * 2)
            stars = _around(work, volume, outer, work.round - 1)
            whole = _in_sight(stars, outer, work.grid.shape, radius)
    if len(whole):
        decide(stars.places, stars.rays, stars.state, whole, work.values["nms_threshold"])
    mine = stars.those(stars.within(box) & (stars.state != LOST))
    stored = put_object(work.run.folder, _key(number, work.round), mine.content())
    return BlockResult((stored,), int((mine.state == OPEN).sum()))


def _in_sight(stars: _Stars, outer: Box, shape: tuple[int, ...], radius: int) -> Array:
    """Which candidates have everything in the window that they can be in conflict with."""
    reach = reach_of(stars.rays) + radius
    inside = np.ones(len(stars), bool)
    for axis, (part, size) in enumerate(zip(outer, shape, strict=True)):
        at = stars.places[:, axis]
        inside &= (at - reach >= part.start) | (part.start == 0)
        inside &= (at + reach < part.stop) | (part.stop == size)
    return inside


def _key(number: int, turn: int) -> str:
    return f"scratch/stars/{turn}/{number // 1000}/{number}.npz"


def _load(work: _StarPass, number: int, turn: int) -> _Stars:
    with np.load(work.run.path(_key(number, turn))) as content:
        stars = _Stars.new(content["places"], content["chances"], content["rays"])
        return replace(stars, state=content["state"])


def _blocks_in(grid: Grid, box: Box) -> Iterator[int]:
    """Blocks that have something in common with a box."""
    ranges = []
    for axis, part in enumerate(box):
        spans = ((i, grid.span(axis, i)) for i in range(grid.blocks_shape[axis]))
        ranges.append([i for i, span in spans if span.start < part.stop and span.stop > part.start])
    for index in product(*ranges):
        yield grid.block_id(index)


def _around(work: _StarPass, volume: int, box: Box, turn: int) -> _Stars:
    """The candidates with centres in a box that are not lost."""
    parts = []
    for block in _blocks_in(work.grid, box):
        stars = _load(work, volume * work.grid.n_blocks + block, turn)
        parts.append(stars.those(stars.within(box)))
    return _Stars.joined(parts)


# --- count ---


def _count_block(work: _StarPass, number: int) -> BlockResult:
    """Count the pixels of a block's own objects."""
    volume, block = divmod(number, work.grid.n_blocks)
    box = work.grid.block_box(block)
    stars = _around(work, volume, work.grid.halo_box(box, (2 * work.radius[volume],) * 2), work.round)
    wanted = stars.within(box)
    counts, firsts = visible(stars.places, stars.rays, (work.grid.shape[0], work.grid.shape[1]), wanted)
    # In the order of the block's own file.
    stored = put_object(
        work.run.folder, _sizes_key(number), rows_bytes(np.stack([counts[wanted], firsts[wanted]], axis=1))
    )
    return BlockResult((stored,), int(wanted.sum()))


def _sizes_key(number: int) -> str:
    return f"scratch/stars/sizes/{number // 1000}/{number}.npy"


def _ids_key(number: int) -> str:
    return f"scratch/stars/ids/{number // 1000}/{number}.npy"


def _number(work: _StarPass, volume: int, found: dict[int, Any], min_size: int) -> int:
    """Number an image's objects by their first pixels; those that are covered, or small, get 0."""
    count = work.grid.n_blocks
    numbers = range(volume * count, (volume + 1) * count)
    rows = np.concatenate([np.load(work.run.path(_sizes_key(number))) for number in numbers])
    kept = np.flatnonzero(rows[:, 0] >= max(1, min_size))
    ids = np.zeros(len(rows), np.uint64)
    ids[kept[np.argsort(rows[kept, 1])]] = np.arange(1, len(kept) + 1, dtype=np.uint64)
    begin = 0
    for number in numbers:
        end = begin + found[number]
        put_object(work.run.folder, _ids_key(number), rows_bytes(ids[begin:end]))
        begin = end
    return len(kept)


# --- write ---


def _write_unit(work: _StarPass, number: int) -> BlockResult:
    """Draw the objects that reach into a unit, and write its shards."""
    assert work.output is not None
    volume, unit = divmod(number, work.grid.n_units)
    box = work.grid.unit_box(unit)
    outer = work.grid.halo_box(box, (work.radius[volume],) * 2)
    parts = []
    for block in _blocks_in(work.grid, outer):
        own = volume * work.grid.n_blocks + block
        stars = replace(_load(work, own, work.round), ids=np.load(work.run.path(_ids_key(own))))
        parts.append(stars.those(stars.within(outer)))
    stars = _Stars.joined(parts)
    data = np.zeros(tuple(part.stop - part.start for part in box), work.output.dtype)
    draw(stars.places - [part.start for part in box], stars.rays, stars.ids.astype(data.dtype), data)
    return write_unit(work.run, work.output, box, {volume: data})
