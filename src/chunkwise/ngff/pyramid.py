"""The levels below the full one, each from the one before, shard by shard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
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

__all__ = ["block_means", "means", "write_pyramid"]

Array = np.ndarray[Any, Any]

#: Voxels of the level above whose sums are taken together: they stay in the processor's own memory.
AT_ONCE = 2**20


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


def write_pyramid(output: OutputImage, job: Job, of: str = "") -> None:
    """Write every level below the full one into the run's store, as ``output.downsampling`` says.

    The passes are ``level-1`` and so on, and ``of`` is put behind it where there is more than one image.
    """
    for level in range(1, output.n_levels):
        # The array has to be readable while the store's own documents are still to come.
        key = f"{output.prefix}{level - 1}/zarr.json"
        put_object(job.run.store, key, json_bytes(output.layout(level - 1).document()))
        work = _LevelPass(job.run, output, level)
        count = output.n_volumes * work.grid.n_units
        voxels = output.n_volumes * prod(work.grid.shape)
        name = f"level-{level}{of}"
        map_pass(job, name, _write_unit, work, count, voxels=voxels, grid=work.grid, units=True)


def _write_unit(work: _LevelPass, number: int) -> BlockResult:
    grid, output = work.grid, work.output
    volume, unit = divmod(number, grid.n_units)
    box = grid.unit_box(unit)
    above = output.volume_shape(work.level - 1)
    factors = output.factors_to(work.level)
    data = np.empty(tuple(part.stop - part.start for part in box), output.dtype)
    source = open_array(work.run.store.child(f"{output.prefix}{work.level - 1}"))
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
        data[inner] = means(read, factors) if output.downsampling == "mean" else read[every][_first(part)]
    full, shaped = output.place(volume, box, data)
    array, layout = f"{output.prefix}{work.level}", output.layout(work.level)
    return BlockResult(tuple(write_box(work.run.store, array, layout, full, shaped)))


def _first(part: tuple[slice, ...]) -> tuple[slice, ...]:
    return tuple(slice(0, p.stop - p.start) for p in part)


def means(voxels: Array, factors: tuple[int, ...]) -> Array:
    """`block_means`, some planes at a time: sums take twice the room of the voxels, and are held twice."""
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
    if voxels.dtype == bool:
        return block_means(voxels.view(np.uint8), factors).astype(bool)
    lengths = []
    for size, factor in zip(voxels.shape, factors, strict=True):
        length = np.full(-(-size // factor), factor)
        length[-1] -= len(length) * factor - size
        lengths.append(length)
    whole = all(size % factor == 0 for size, factor in zip(voxels.shape, factors, strict=True))
    counts = prod(factors) if whole else np.array(reduce(np.multiply.outer, lengths))
    if voxels.dtype.kind == "f":
        return np.asarray((_sums(voxels.astype(np.float64), factors) / counts).astype(voxels.dtype))
    # Blocks have 1, 2, 4 or 8 voxels.
    shift = np.log2(counts).astype(voxels.dtype)
    if voxels.dtype.itemsize < 8:
        sums = _sums(_pairs(voxels) if factors[-1] == 2 else voxels.astype(_wide(voxels.dtype)), (*factors[:-1], 1))
        shift = shift.astype(sums.dtype)
        sums += (sums.dtype.type(1) << shift) >> sums.dtype.type(1)
        sums >>= shift
        return np.asarray(sums.astype(voxels.dtype))
    # The sum of 64-bit integers may overflow: eighths and their remainders do not.
    eighth = voxels.dtype.type(8)
    eighths, rest = _sums(voxels // eighth, factors), _sums(voxels % eighth, factors)
    half = (voxels.dtype.type(1) << shift) >> voxels.dtype.type(1)
    return np.asarray(eighths * (eighth >> shift) + ((rest + half) >> shift))


def _wide(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The integers of twice the width, which hold the sum of eight."""
    return np.dtype(f"{dtype.kind}{2 * dtype.itemsize}")


def _pairs(voxels: Array) -> Array:
    """Sum neighbours along the last axis: two integers that lie together are read as one of twice the width."""
    voxels = np.ascontiguousarray(voxels)
    wide, bits, size = _wide(voxels.dtype), 8 * voxels.dtype.itemsize, voxels.shape[-1]
    sums = np.empty((*voxels.shape[:-1], -(-size // 2)), wide)
    pairs, inner = voxels[..., : size - size % 2].view(wide), sums[..., : size // 2]
    # Shifted up and down again, the one keeps its sign; shifted down, the other does.
    np.left_shift(pairs, bits, out=inner)
    inner >>= bits
    inner += pairs >> bits
    if size % 2:
        sums[..., -1] = voxels[..., -1]
    return sums


def _sums(values: Array, factors: tuple[int, ...]) -> Array:
    """Sum blocks axis by axis, without changing the type."""
    for axis, factor in enumerate(factors):
        if factor == 2:
            first = (slice(None),) * axis
            even, odd = values[(*first, slice(0, None, 2))], values[(*first, slice(1, None, 2))]
            values = np.empty_like(even)
            both = (*first, slice(0, odd.shape[axis]))
            np.add(even[both], odd, out=values[both])
            values[(*first, slice(odd.shape[axis], None))] = even[(*first, slice(odd.shape[axis], None))]
    return values
