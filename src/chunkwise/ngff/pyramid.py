"""The levels below the full one, each from the one before, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage, shard_of
from chunkwise.storage.arrays import open_array
from chunkwise.storage.writer import json_bytes, put_object, write_box

__all__ = ["block_means", "write_pyramid"]

Array = np.ndarray[Any, Any]

#: Voxels of the level above whose sums are taken together.
AT_ONCE = 2**22


@dataclass(frozen=True)
class _LevelPass:
    run: Run
    output: OutputImage
    level: int

    @property
    def grid(self) -> Grid:
        """A unit is a shard of the level."""
        shape = self.output.volume_shape(self.level)
        _, shard = shard_of(shape, self.output.shard)
        return Grid.fit(shape, shard, shard)


def write_pyramid(output: OutputImage, job: Job) -> None:
    """Write every level below the full one into the run's store, as ``output.downsampling`` says."""
    for level in range(1, output.n_levels):
        # The array has to be readable while the store's own documents are still to come.
        put_object(job.run.store, f"{level - 1}/zarr.json", json_bytes(output.layout(level - 1).document()))
        work = _LevelPass(job.run, output, level)
        count = output.n_volumes * work.grid.n_units
        voxels = output.n_volumes * prod(work.grid.shape)
        name = f"level-{level}"
        map_pass(job, name, _write_unit, work, count, voxels=voxels, grid=work.grid, units=True)


def _write_unit(work: _LevelPass, number: int) -> BlockResult:
    grid, output = work.grid, work.output
    volume, unit = divmod(number, grid.n_units)
    box = grid.unit_box(unit)
    above = output.volume_shape(work.level - 1)
    factors = output.factors_to(work.level)
    data = np.empty(tuple(part.stop - part.start for part in box), output.dtype)
    source = open_array(work.run.store.child(str(work.level - 1)))
    # The level above is read in slabs of one of its chunks, so that a unit of it never lies in memory as a whole;
    # labels follow their image's levels, which may be further apart, in thinner ones.
    thinner = max(factors[0], prod(factors) // 2 ** len(factors))
    slab = max(1, output.layout(work.level).chunks[output.first_spatial] // thinner)
    for start in range(box[0].start, box[0].stop, slab):
        part = (slice(start, min(start + slab, box[0].stop)), *box[1:])
        wide = tuple(slice(p.start * f, min(p.stop * f, n)) for p, f, n in zip(part, factors, above, strict=True))
        full = output.place_box(volume, wide)
        read = source.read(full).reshape(tuple(p.stop - p.start for p in wide))
        inner = slice(part[0].start - box[0].start, part[0].stop - box[0].start)
        every = tuple(slice(None, None, f) for f in factors)
        # Where the last voxel has no partner, some writers leave it out; every n-th voxel has one more then.
        data[inner] = _means(read, factors) if output.downsampling == "mean" else read[every][_first(part)]
    full, shaped = output.place(volume, box, data)
    return BlockResult(tuple(write_box(work.run.store, str(work.level), output.layout(work.level), full, shaped)))


def _first(part: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, p.stop - p.start) for p in part)


def _means(voxels: Array, factors: tuple[int, ...]) -> Array:
    """`block_means`, some planes at a time: sums of floats take twice the room of float32, and are held twice."""
    planes = factors[0] * max(1, AT_ONCE // (factors[0] * prod(voxels.shape[1:])))
    parts = [block_means(voxels[start : start + planes], factors) for start in range(0, len(voxels), planes)]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def block_means(voxels: Array, factors: tuple[int, ...]) -> Array:
    """Mean of each block of voxels; blocks are cut at the array's end.

    Parameters
    ----------
    voxels : ndarray
        Of an integer type, a float type or bool.
    factors : tuple of int
        Of each axis: 1 or 2.

    Returns
    -------
    ndarray
        Of the same type. Means of integers (and of bool) are exact and rounded, halves upwards; those of
        floats are taken in float64.
    """
    counts = np.ones((1,) * voxels.ndim, np.int64)
    for axis, factor in enumerate(factors):
        lengths = np.full(-(-voxels.shape[axis] // factor), factor)
        lengths[-1] -= len(lengths) * factor - voxels.shape[axis]
        counts = counts * lengths.reshape([-1 if i == axis else 1 for i in range(voxels.ndim)])
    if voxels.dtype.kind == "f":
        return np.asarray((_sums(voxels.astype(np.float64), factors) / counts).astype(voxels.dtype))
    if voxels.dtype.itemsize < 8:
        wide = np.int32 if voxels.dtype.itemsize < 4 else np.int64
        sums = _sums(voxels.astype(wide), factors)
        counts = counts.astype(wide)
        return np.asarray(((sums + counts // 2) // counts).astype(voxels.dtype))
    # The sum of 64-bit integers may overflow: eighths and their remainders do not.
    counts = counts.astype(voxels.dtype)
    eighth = voxels.dtype.type(8)
    whole, rest = _sums(voxels // eighth, factors), _sums(voxels % eighth, factors)
    share = eighth // counts  # blocks have 1, 2, 4 or 8 voxels
    return np.asarray(whole * share + (rest + counts // 2) // counts)


def _sums(values: Array, factors: tuple[int, ...]) -> Array:
    """Sum blocks axis by axis, without changing the type."""
    for axis, factor in enumerate(factors):
        if factor == 2:
            first = (slice(None),) * axis
            even, odd = values[(*first, slice(0, None, 2))].copy(), values[(*first, slice(1, None, 2))]
            even[(*first, slice(0, odd.shape[axis]))] += odd
            values = even
    return values
