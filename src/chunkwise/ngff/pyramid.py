"""The levels below the full one, each from the one before, shard by shard."""

from __future__ import annotations

import os
from dataclasses import dataclass
from math import prod

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.passes import BlockResult, Executor, Workers, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage, shard_of
from chunkwise.storage.arrays import open_array
from chunkwise.storage.location import Location
from chunkwise.storage.writer import json_bytes, put_object, write_box

__all__ = ["write_pyramid"]


@dataclass(frozen=True)
class _Work:
    run: Run
    output: OutputImage
    level: int

    @property
    def grid(self) -> Grid:
        """A unit is a shard of the level."""
        shape = self.output.volume_shape(self.level)
        _, shard = shard_of(shape, self.output.shard)
        return Grid.fit(shape, shard, shard)


def write_pyramid(output: OutputImage, executor: Executor, run: Run, workers: Workers) -> None:
    """Write every level below the full one into the run's store, by nearest: every second voxel."""
    for level in range(1, output.n_levels):
        # The array has to be readable while the store's own documents are still to come.
        put_object(run.store, f"{level - 1}/zarr.json", json_bytes(output.layout(level - 1).document()))
        work = _Work(run, output, level)
        count = output.n_volumes * work.grid.n_units
        voxels = output.n_volumes * prod(work.grid.shape)
        map_pass(executor, run, f"level-{level}", _write_unit, work, count, voxels=voxels, workers=workers)


def _write_unit(work: _Work, number: int) -> BlockResult:
    grid, output = work.grid, work.output
    volume, unit = divmod(number, grid.n_units)
    box = grid.unit_box(unit)
    above = output.volume_shape(work.level - 1)
    factors = output.factors(above)
    data = np.empty(tuple(part.stop - part.start for part in box), output.dtype)
    source = open_array(Location(os.path.join(work.run.store, str(work.level - 1))))
    # The level above is read in slabs of one chunk, so that a unit of it never lies in memory as a whole.
    slab = max(1, output.layout(work.level).chunks[output.first_spatial])
    for start in range(box[0].start, box[0].stop, slab):
        part = (slice(start, min(start + slab, box[0].stop)), *box[1:])
        wide = tuple(slice(p.start * f, min(p.stop * f, n)) for p, f, n in zip(part, factors, above, strict=True))
        full = output.place_box(volume, wide)
        read = source.read(full).reshape(tuple(p.stop - p.start for p in wide))
        inner = slice(part[0].start - box[0].start, part[0].stop - box[0].start)
        data[inner] = read[tuple(slice(None, None, f) for f in factors)]
    full, shaped = output.place(volume, box, data)
    return BlockResult(tuple(write_box(work.run.store, str(work.level), output.layout(work.level), full, shaped)))
