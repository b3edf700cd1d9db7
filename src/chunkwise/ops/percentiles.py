"""Percentiles of whole volumes, equal to ``numpy.percentile`` to the bit, in one pass for every 16 bits of a voxel.

Voxels are put in the order of their bits, read as whole numbers, and 16 bits of a wanted voxel are found at a time, the
highest first: a pass counts how many voxels there are with each value of these bits, among those whose higher bits are
the wanted ones. So nothing is sorted, and what is counted takes the same room whatever the volume.

Reference: ``numpy.percentile(volume, percent)``, method ``linear``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor, prod
from typing import Any

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import reduce_pass
from chunkwise.errors import InputError, VoxelsError
from chunkwise.ops.volumes import HaloedVolumes

__all__ = ["find_percentiles", "finite"]

Array = np.ndarray[Any, Any]

#: Bits that are found at a time, and voxels that are looked at at once.
BITS = 16
AT_ONCE = 2**20


@dataclass(frozen=True)
class _Pass:
    """What the workers of a pass are handed."""

    volumes: HaloedVolumes
    shift: int
    """Bits below those that are counted."""
    higher: Mapping[int, tuple[int, ...]]
    """Of each volume: the bits above them, of each voxel that is wanted."""


def find_percentiles(percents: Sequence[float], volumes: HaloedVolumes, job: Job) -> list[list[Any]]:
    """Find percentiles of every volume.

    Parameters
    ----------
    percents : sequence of float
        From 0 to 100.

    Returns
    -------
    list of list of numpy scalar
        Of each percent, one a volume; as ``numpy.percentile`` has them.

    Raises
    ------
    VoxelsError
        If a voxel is not a number.
    InputError
        If a percentile is not finite.
    """
    dtype, count = np.dtype(volumes.source.dtype), prod(volumes.grid.shape)
    places = [_places(percent, count) for percent in percents]
    ranks = [rank for low, high, _ in places for rank in (low, high)]
    # Of each volume and each voxel that is wanted: its bits so far, and its place among those that share them.
    wanted = [[(0, rank) for rank in ranks] for _ in range(volumes.n_volumes)]
    for shift in reversed(range(0, 8 * dtype.itemsize, BITS)):
        higher = {volume: tuple({bits for bits, _ in each}) for volume, each in enumerate(wanted)}
        work, before = _Pass(volumes, shift, higher), wanted

        def finish(volume: int, counts: dict[int, Array], before: Any = before) -> list[list[int]]:
            return [_next(bits, rank, counts[bits]) for bits, rank in before[volume]]

        groups = volumes.blocks_by_volume()
        size, grid = volumes.voxels, volumes.grid
        found = reduce_pass(job, f"order-{shift}", _count, _add, work, groups, finish, voxels=size, grid=grid)
        wanted = [[(int(bits), int(rank)) for bits, rank in found[volume]] for volume in range(volumes.n_volumes)]
    values = [[_value(bits, dtype) for bits, _ in each] for each in wanted]
    return [
        [finite(percents[n], _between(each[2 * n], each[2 * n + 1], share)) for each in values]
        for n, (_, _, share) in enumerate(places)
    ]


def finite(percent: float, value: Any) -> Any:
    """Give a percentile back.

    Raises
    ------
    InputError
        If voxels that are infinite, or not numbers, leave none.
    """
    if np.isfinite(value):
        return value
    raise InputError(
        f"The percentile {percent:g} of the image is not finite; choose percentiles that leave out infinite voxels."
    )


def _places(percent: float, count: int) -> tuple[int, int, float]:
    """The two voxels, in their order, between which a percentile lies, and how far from the first."""
    place = float((count - 1) * np.true_divide(percent, 100))
    if place >= count - 1:
        return count - 1, count - 1, 0.0
    return floor(place), floor(place) + 1, place - floor(place)


def _between(low: Any, high: Any, share: float) -> Any:
    """As NumPy computes it: from the nearer end. Integers are subtracted as float64, in which they cannot overflow."""
    with np.errstate(invalid="ignore", over="ignore"):  # what comes of infinite ones is refused
        apart = high - low if low.dtype.kind == "f" else np.float64(int(high) - int(low))
        return high - apart * (1 - share) if share >= 0.5 else low + apart * share


def _next(bits: int, rank: int, counts: Array) -> list[int]:
    """The next bits of a voxel, and its place among those that share them."""
    ends = np.cumsum(counts)
    digit = int(np.searchsorted(ends, rank, side="right"))
    return [(bits << BITS) + digit, rank - int(ends[digit] - counts[digit])]


def _count(work: _Pass, number: int) -> dict[int, Array]:
    volume, _ = work.volumes.place(number)
    dtype = np.dtype(work.volumes.source.dtype)
    if dtype.kind in "iu" and dtype.itemsize <= 2:
        return {0: np.asarray(work.volumes.counts(number), np.int64)}
    voxels = np.ascontiguousarray(work.volumes.read(number)).ravel()
    if dtype.kind == "f" and np.isnan(voxels).any():
        raise VoxelsError("No percentile was found: the image has voxels that are not numbers; choose another method.")
    found = {bits: np.zeros(2**BITS, np.int64) for bits in work.higher[volume]}
    whole = work.shift + BITS >= 8 * dtype.itemsize
    for start in range(0, len(voxels), AT_ONCE):
        keys = _keys(voxels[start : start + AT_ONCE])
        digits = (keys >> keys.dtype.type(work.shift)) & keys.dtype.type(2**BITS - 1)
        for bits, counts in found.items():
            # All bits of a type cannot be shifted out of it.
            those = digits if whole else digits[keys >> keys.dtype.type(work.shift + BITS) == bits]
            counts += np.bincount(those.astype(np.intp), minlength=2**BITS)
    return found


def _add(one: dict[int, Array], other: dict[int, Array]) -> dict[int, Array]:
    return {bits: counts + other[bits] for bits, counts in one.items()}


def _keys(voxels: Array) -> Array:
    """Whole numbers in the order of the voxels."""
    unsigned = np.dtype(f"u{voxels.dtype.itemsize}")
    keys, top = voxels.view(unsigned), unsigned.type(1 << (8 * voxels.dtype.itemsize - 1))
    if voxels.dtype.kind == "u":
        return keys
    return keys ^ top if voxels.dtype.kind == "i" else np.where(keys & top, ~keys, keys | top)


def _value(key: int, dtype: np.dtype[Any]) -> Any:
    """The voxel of a key."""
    bits, whole = 8 * dtype.itemsize, (1 << 8 * dtype.itemsize) - 1
    top = 1 << (bits - 1)
    if dtype.kind == "i":
        key ^= top
    elif dtype.kind == "f":
        key = key ^ top if key & top else ~key & whole
    return np.array(key, f"u{dtype.itemsize}").view(dtype)[()]
