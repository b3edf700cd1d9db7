"""Statistics of whole images, taken block by block: what a model's preprocessing asks for.

bioimageio.core takes them of the image as it is stored, before any other step. Here every value is mapped to
a whole number that sorts like it, whose digits of 16 bits are counted, the highest first. For images of 8
and 16 bits one pass gives everything, exactly. Otherwise each further pass counts the next digit of those
values that a percentile can still be; sums are exact whatever the order (``ops.exact_sum``).

What comes out is the mean, standard deviation and percentile that NumPy gives for the whole image, with one
rounding at the end. bioimageio.core itself sums float32 images in float32, and is some units in the last
place away from it; of integers it is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from math import floor, prod, sqrt
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import reduce_pass
from chunkwise.errors import InputError
from chunkwise.models.rescale import Rescaled
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.exact_sum import ExactSum, exact_sum

__all__ = ["Quantile", "Samples", "measure_samples"]

Array = np.ndarray[Any, Any]

DIGIT = 16
VALUES = 1 << DIGIT
#: Planes whose counts a worker holds at once.
PLANES = 16


@dataclass(frozen=True)
class Quantile:
    """A percentile: ``q`` between 0 and 1, and NumPy's name of the method."""

    q: float
    method: str


@dataclass(frozen=True)
class Samples:
    """Volumes of some channels, and what counts as one image among them.

    A sample is what the model sees as one image: a plane for models of two dimensions, else a volume. Blocks
    are numbered by channel, time, and block of the volume.
    """

    channels: tuple[VolumeSource | Rescaled, ...]
    planes: bool
    """Whether each plane of a volume with z is a sample of its own."""
    grid: Grid

    @classmethod
    def of(cls, channels: tuple[VolumeSource | Rescaled, ...], planes: bool, block: tuple[int, ...]) -> Samples:
        """Part the volumes into blocks; a block holds whole planes of few samples."""
        shape = channels[0].shape
        planes = planes and len(shape) == 3
        if planes:
            block = (min(block[0], PLANES), *block[1:])
        return cls(channels, planes, Grid(shape, tuple(map(min, block, shape)), tuple(map(min, block, shape))))

    @property
    def per_group(self) -> int:
        """Blocks that are summed up together: those of a slab of planes, or of a volume."""
        return self.grid.n_blocks // (self.grid.blocks_shape[0] if self.planes else 1)

    def rows(self, group: int) -> int:
        """Samples that a group has."""
        if not self.planes:
            return 1
        part = self.grid.span(0, group % self.grid.blocks_shape[0])
        return int(part.stop - part.start)

    def read(self, number: int) -> Array:
        """The voxels of a block, one row a sample."""
        volume, block = divmod(number, self.grid.n_blocks)
        channel, time = divmod(volume, self.channels[0].volumes)
        voxels = self.channels[channel].read(time, self.grid.block_box(block))
        return voxels.reshape(len(voxels) if self.planes else 1, -1)


@dataclass(frozen=True)
class _Count:
    """A pass: which values are counted, by their digits that are known."""

    samples: Samples
    per_group: int
    """Blocks of a group."""
    depth: int
    """Digits that are known."""
    prefixes: tuple[tuple[tuple[int, ...], ...], ...]
    """Of each group and row: the known digits of values that are looked for."""
    sums: bool


@dataclass(frozen=True)
class _Summary:
    """What blocks of a group give."""

    counts: Array
    """Of rows, prefixes, and digits."""
    sums: tuple[tuple[ExactSum, ExactSum], ...]
    """Of values, and of their squares; one pair a row."""


def measure_samples(
    samples: Samples, quantiles: Sequence[Quantile], job: Job, together: bool = False, name: str = "statistics"
) -> list[dict[str, Any]]:
    """Measure every sample of every channel, block by block.

    Parameters
    ----------
    samples : Samples
        What is measured.
    quantiles : sequence of Quantile
        Beside mean and standard deviation.
    job : Job
        Where the work is done, and what is done already.
    together : bool
        Whether all samples of a channel are one, as for statistics of a data set.
    name : str
        Of the passes, in the journal.

    Returns
    -------
    list of dict
        ``mean``, ``std`` and ``quantiles`` of each sample, channel by channel; ``moments`` to join samples by.

    Raises
    ------
    InputError
        If voxels are not finite, or cannot be read.
    """
    dtype = np.dtype(samples.channels[0].dtype)
    if together:
        samples = replace(samples, planes=False)
    per_group = samples.per_group * (samples.channels[0].volumes if together else 1)
    total = len(samples.channels) * samples.channels[0].volumes * samples.grid.n_blocks
    groups = [range(begin, begin + per_group) for begin in range(0, total, per_group)]
    voxels = len(samples.channels) * samples.channels[0].volumes * prod(samples.grid.shape)
    digits = max(1, dtype.itemsize * 8 // DIGIT)
    prefixes = [[[0]] * samples.rows(group) for group in range(len(groups))]
    known: list[list[dict[str, Any]]] = []
    ranks: list[list[list[list[int]]]] = []  # of each group, row and wanted order statistic: prefix, rank in it
    for depth in range(digits if quantiles else 1):
        work = _Count(
            samples, per_group, depth, tuple(tuple(map(tuple, group)) for group in prefixes), digits > 1 and depth == 0
        )
        step = name if depth == 0 else f"{name}-{depth + 1}"
        finish = partial(_finish, dtype, quantiles, ranks, depth)
        found = reduce_pass(job, step, _count_block, _add, work, groups, finish, voxels=voxels)
        if depth == 0:
            known = [found[group]["rows"] for group in range(len(groups))]
        ranks = [found[group]["ranks"] for group in range(len(groups))]
        prefixes = [[sorted({prefix for prefix, _ in row}) for row in group] for group in ranks]
    result = []
    for rows_known, rows_ranks in zip(known, ranks, strict=True):
        for entry, wanted in zip(rows_known, rows_ranks, strict=True):
            values: Any = _values(np.array([prefix for prefix, _ in wanted], np.uint64), dtype) if wanted else []
            result.append(entry | {"quantiles": _interpolate(values, int(entry["count"]), quantiles)})
    return result


def _count_block(work: _Count, number: int) -> _Summary:
    samples = work.samples
    voxels = samples.read(number)
    if voxels.dtype.kind == "f" and not np.isfinite(voxels).all():
        raise InputError(
            "the image has voxels that are not finite (NaN or infinite), so the statistics that the model needs cannot "
            "be computed; replace them first"
        )
    wanted = work.prefixes[number // work.per_group]
    most = max(map(len, wanted))
    counts = np.zeros((len(voxels), most, VALUES), np.int64)
    sums = []
    for row, values in enumerate(voxels):
        keys, bits = _keys(values)
        shift = bits - DIGIT * (work.depth + 1) if bits >= DIGIT else 0
        for at, prefix in enumerate(wanted[row]):
            chosen = keys
            if work.depth:
                chosen = keys[(keys >> np.array(shift + DIGIT, keys.dtype)) == prefix]
            digit = (chosen >> np.array(shift, keys.dtype)) & np.array(VALUES - 1, keys.dtype)
            counts[row, at] = np.bincount(digit.astype(np.int64), minlength=VALUES)
        if work.sums:
            real = values.astype(np.float64)
            sums.append((exact_sum(real), exact_sum(real * real)))
    return _Summary(counts, tuple(sums))


def _add(one: _Summary, other: _Summary) -> _Summary:
    return _Summary(
        one.counts + other.counts, tuple((a + c, b + d) for (a, b), (c, d) in zip(one.sums, other.sums, strict=True))
    )


def _keys(values: Array) -> tuple[Array, int]:
    """Whole numbers without a sign that sort like the values, and how many bits they have."""
    dtype = values.dtype
    bits = dtype.itemsize * 8
    if bits < DIGIT:
        return (values.astype(np.int32) + (128 if dtype.kind == "i" else 0)).astype(np.uint16), DIGIT
    kind = np.dtype(f"u{dtype.itemsize}")
    raw = values.view(kind)
    top = np.array(1 << (bits - 1), kind)
    if dtype.kind == "i":
        return raw ^ top, bits
    if dtype.kind == "f":
        # Of negative numbers all bits are turned round, of others the sign.
        return np.where(raw & top, ~raw, raw | top), bits
    return raw, bits


def _values(keys: Array, dtype: np.dtype[Any]) -> Array:
    """Undo :func:`_keys`."""
    bits = dtype.itemsize * 8
    if bits < DIGIT:
        return (keys.astype(np.int64) - (128 if dtype.kind == "i" else 0)).astype(dtype)
    raw = keys.astype(np.dtype(f"u{dtype.itemsize}"))
    top = np.array(1 << (bits - 1), raw.dtype)
    if dtype.kind == "i":
        raw = raw ^ top
    elif dtype.kind == "f":
        raw = np.where(raw & top, raw & ~top, ~raw)
    return raw.view(dtype)


def _finish(
    dtype: np.dtype[Any],
    quantiles: Sequence[Quantile],
    ranks: list[list[list[list[int]]]],
    depth: int,
    group: int,
    summary: _Summary,
) -> dict[str, Any]:
    """What a group's counts give: moments (after the first pass), and digits of the order statistics."""
    rows, found = [], []
    for row in range(len(summary.counts)):
        counts = summary.counts[row]
        if depth == 0:
            count = int(counts[0].sum())
            moments = _moments(dtype, counts[0], summary.sums[row] if summary.sums else None)
            rows.append({"count": count} | moments)
            wanted = [[0, rank] for quantile in quantiles for rank in _neighbours(quantile, count)]
        else:
            wanted = ranks[group][row]
        prefixes = sorted({prefix for prefix, _ in wanted})
        next_ranks = []
        for prefix, rank in wanted:
            upto = np.cumsum(counts[prefixes.index(prefix)])
            digit = int(np.searchsorted(upto, rank, side="right"))
            next_ranks.append([(prefix << DIGIT) | digit, rank - (int(upto[digit - 1]) if digit else 0)])
        found.append(next_ranks)
    return {"rows": rows, "ranks": found}


def _moments(dtype: np.dtype[Any], counts: Array, sums: tuple[ExactSum, ExactSum] | None) -> dict[str, float]:
    """Mean and mean of squares, each rounded once; and the standard deviation."""
    if sums is None:
        there = np.flatnonzero(counts)
        values = [Fraction(value.item()) for value in _values(there.astype(np.uint64), dtype)]
        numbers = [int(number) for number in counts[there]]
        mean = sum((v * n for v, n in zip(values, numbers, strict=True)), Fraction()) / sum(numbers)
        square = sum((v * v * n for v, n in zip(values, numbers, strict=True)), Fraction()) / sum(numbers)
    else:
        mean, square = Fraction(sums[0].mean()), Fraction(sums[1].mean())
    return {"mean": float(mean), "square": float(square), "std": sqrt(max(0.0, float(square - mean * mean)))}


def _neighbours(quantile: Quantile, count: int) -> list[int]:
    """Ranks of the two values that a percentile lies between."""
    if quantile.method == "inverted_cdf":
        at = count * quantile.q
        rank = int(at) - (1 if at == int(at) and at > 0 else 0)
        return [min(rank, count - 1)] * 2
    lower = min(floor((count - 1) * quantile.q), count - 1)
    return [lower, min(lower + 1, count - 1)]


def _interpolate(values: Any, count: int, quantiles: Sequence[Quantile]) -> list[float]:
    found = []
    for index, quantile in enumerate(quantiles):
        pair = values[2 * index : 2 * index + 2]
        at = (count - 1) * quantile.q
        share = at - floor(at) if quantile.method == "linear" else 0.0
        # NumPy's own interpolation between the two, with the rounding that it has for the type.
        found.append(float(np.quantile(pair, np.asarray([share], np.float64))[0]))
    return found
