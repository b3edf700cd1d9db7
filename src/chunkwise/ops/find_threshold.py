"""The chain of reduce passes that finds the threshold of every volume."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import reduce_pass
from chunkwise.errors import InputError
from chunkwise.ops.exact_sum import ExactSum, exact_sum
from chunkwise.ops.threshold import (
    EXACT_SPAN,
    METHODS,
    Histogram,
    count_values,
    decode,
    encode,
    histogram_of_counts,
    threshold_of_bins,
    threshold_of_values,
)
from chunkwise.ops.volumes import HaloedVolumes

__all__ = ["find_in_histograms", "find_thresholds", "histogram_of_volume", "widen"]

Array = np.ndarray[Any, Any]

#: As scikit-image's default for images of floats.
BINS = 256

#: Distinct values of a float volume that are still counted one by one (8 MiB).
MAX_DISTINCT = 2**20

#: Iterations of li before it is taken as not converging.
MAX_ITERATIONS = 1000


@dataclass(frozen=True)
class _Pass:
    """What the workers of one reduce pass are handed."""

    volumes: HaloedVolumes
    parameters: dict[int, Any] = field(default_factory=dict)
    """Of each volume: the range of its bins, or the threshold being tried."""


def find_thresholds(method: str, volumes: HaloedVolumes, job: Job) -> list[Any]:
    """Find the threshold of every volume by one method.

    Parameters
    ----------
    method : str
        One of ``ops.threshold.METHODS``.

    Returns
    -------
    list of numpy scalar
        One a volume; scikit-image's on the whole smoothed volume (see ``ops.threshold`` for how equal).

    Raises
    ------
    InputError
        If a volume has none.
    """
    chain = _Chain(method, volumes, job)
    dtype = np.dtype(volumes.source.dtype)
    if dtype.kind in "iu":
        if dtype.itemsize <= 2:
            return chain.exact()
        extents = chain.extents()
        if all(int(high) - int(low) < EXACT_SPAN for low, high in extents):
            return chain.exact()
    else:
        extents = chain.extents()
    if method == "mean":
        return chain.mean()
    if method == "li":
        return chain.li()
    return chain.binned(extents)


def find_in_histograms(
    name: str, bins: int, finish: Callable[[int, Array, Array], Any], volumes: HaloedVolumes, job: Job
) -> list[Any]:
    """Find something in the histogram of every volume, which is that of ``skimage.exposure.histogram``.

    Parameters
    ----------
    name : str
        What it is for, in an error.
    bins : int
        Of floats; whole numbers are counted each.
    finish : callable
        ``finish(volume, counts, centers)`` on the driver, gives what JSON has.

    Raises
    ------
    InputError
        If voxels are not finite, or there are too many whole numbers.
    """
    chain, dtype = _Chain(name, volumes, job), np.dtype(volumes.source.dtype)

    def whole(volume: int, counted: Histogram) -> Any:
        return finish(volume, *_of_whole_numbers(counted))

    if dtype.kind in "iu" and dtype.itemsize <= 2:
        return chain.reduce("histogram", _count, _add, whole)
    extents = chain.extents()
    if dtype.kind in "iu":
        _check_span(name, max(int(high) - int(low) for low, high in extents))
        return chain.reduce("histogram", _count, _add, whole)

    centers = [_centers(name, bins, *extent) for extent in extents]

    def binned(volume: int, counts: Array) -> Any:
        return finish(volume, counts, centers[volume])

    return chain.reduce("bins", _bin, _add, binned, {n: (*extent, bins) for n, extent in enumerate(extents)})


def histogram_of_volume(name: str, bins: int, volume: Array) -> tuple[Array, Array]:
    """Count the intensities of a volume in memory, as :func:`find_in_histograms` does; counts, and centers of bins.

    Raises
    ------
    InputError
        As of :func:`find_in_histograms`.
    """
    if volume.dtype.kind == "f":
        if not np.isfinite(volume).all():
            raise InputError(f"Nothing was found by '{name}': the image has values that are not finite.")
        centers = _centers(name, bins, volume.min(), volume.max())
        return np.histogram(volume, bins)[0], centers
    _check_span(name, int(volume.max()) - int(volume.min()))
    return _of_whole_numbers(count_values(volume))


def _centers(name: str, bins: int, low: Any, high: Any) -> Array:
    """The centers of the bins between the ends of a volume.

    Raises
    ------
    InputError
        If these lie so near each other, or so far apart, that their type has no such bins.
    """
    ends = np.array([low, high])
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            edges = np.histogram_bin_edges(ends, bins, (low, high))
            return np.asarray((edges[:-1] + edges[1:]) / 2.0)
    except ValueError:
        start, _ = _words(name)
        cast = "convert the image first: 'chunkwise intensity --method cast --dtype float64'"
        others = [cast] * (ends.dtype.itemsize < 8) + ["give a threshold as a number"] * (name in METHODS)
        raise InputError(
            f"{start} was found by '{name}', which parts the range of intensities into {bins} bins: {ends.dtype} "
            f"cannot tell so many apart between {low:.9g} and {high:.9g}{'; ' * bool(others)}{', or '.join(others)}."
        ) from None


def _words(name: str) -> tuple[str, str]:
    """How a sentence begins and ends that says why nothing was found."""
    known = name in METHODS
    return ("No threshold", "; give a threshold as a number.") if known else ("Nothing", ".")


def _of_whole_numbers(counted: Histogram) -> tuple[Array, Array]:
    return counted.counts, np.arange(counted.low, counted.low + len(counted.counts))


def _check_span(name: str, widest: int) -> None:
    if widest >= EXACT_SPAN:
        raise InputError(
            f"'{name}' counts every whole number, and this image has a range of {widest}, which is too much; bring "
            "it to 16 bits with 'chunkwise intensity --method rescale' first."
        )


@dataclass(frozen=True)
class _Chain:
    method: str
    volumes: HaloedVolumes
    job: Job

    def reduce(
        self,
        name: str,
        function: Callable[[_Pass, int], Any],
        combine: Callable[[Any, Any], Any],
        finish: Callable[[int, Any], Any],
        parameters: dict[int, Any] | None = None,
    ) -> list[Any]:
        values = reduce_pass(
            self.job,
            name,
            function,
            combine,
            _Pass(self.volumes, parameters or {}),
            self.volumes.blocks_by_volume(),
            finish,
            voxels=self.volumes.voxels,
            grid=self.volumes.grid,
        )
        return [values[volume] for volume in range(self.volumes.n_volumes)]

    def exact(self) -> list[Any]:
        def finish(_: int, histogram: Histogram) -> Any:
            return encode(threshold_of_values(self.method, histogram, self.volumes.source.dtype))

        return [decode(value) for value in self.reduce("histogram", _count, _add, finish)]

    def extents(self) -> list[tuple[Any, Any]]:
        channels = self.volumes.n_volumes // self.volumes.source.volumes

        def finish(volume: int, extent: tuple[Any, Any]) -> Any:
            if not np.isfinite(extent[0]) or not np.isfinite(extent[1]):
                start, end = _words(self.method)
                raise InputError(
                    f"{start} was found by '{self.method}': the volume of time point {volume // channels} has values "
                    f"that are not finite{end}"
                )
            return [encode(value) for value in extent]

        return [(decode(low), decode(high)) for low, high in self.reduce("extent", _extent, widen, finish)]

    def mean(self) -> list[Any]:
        def finish(_: int, total: ExactSum) -> Any:
            return encode(np.float64(total.mean()))

        return [decode(value) for value in self.reduce("mean", _sum, _add, finish)]

    def binned(self, extents: list[tuple[Any, Any]]) -> list[Any]:
        centers = [np.array(low) if low == high else _centers(self.method, BINS, low, high) for low, high in extents]

        def finish(volume: int, counts: Array) -> Any:
            low, high = extents[volume]
            return encode(low if low == high else threshold_of_bins(self.method, counts, centers[volume]))

        ranges = {volume: (*extent, BINS) for volume, extent in enumerate(extents)}
        return [decode(value) for value in self.reduce("bins", _bin, _add, finish, ranges)]

    def li(self) -> list[Any]:
        """Li by the volume's distinct values where these are few, else by a pass an iteration."""

        def finish(_: int, distinct: tuple[Array, Array] | None) -> Any:
            if distinct is None:
                return None
            values, counts = distinct
            if len(values) == 1:
                return encode(np.float64(values[0]))
            gap = float(np.min(np.diff(values))) / 2
            shifted = values.astype(np.float64) - float(values[0])
            current, following = -2 * gap, float((shifted * counts).sum() / counts.sum())
            while abs(following - current) > gap:
                current = following
                above = shifted > current
                means = [float((shifted[s] * counts[s]).sum() / counts[s].sum()) for s in (above, ~above)]
                if means[1] == 0:
                    break
                following = _li_step(*means)
            return encode(np.float64(following + float(values[0])))

        found = self.reduce("distinct", _distinct, _unite, finish)
        if all(value is not None for value in found):
            return [decode(value) for value in found]
        return self._li_by_passes()

    def _li_by_passes(self) -> list[Any]:
        lows = [float(low) for low, _ in self.extents()]
        spans = [float(high) - float(low) for low, high in self.extents()]
        tried = [float(value) - low for value, low in zip(self.mean(), lows, strict=True)]
        for iteration in range(MAX_ITERATIONS):
            absolute = {volume: low + t for volume, (low, t) in enumerate(zip(lows, tried, strict=True))}
            sides = self.reduce(f"li-{iteration}", _two_sums, _add_sides, _two_means, absolute)
            following = []
            for low, t, (above, below) in zip(lows, tried, sides, strict=True):
                # As in scikit-image: no step further where one side is empty, or all of it is the minimum.
                stay = above is None or below is None or below == low
                following.append(t if stay else _li_step(above - low, below - low))
            moved = [abs(a - b) for a, b in zip(following, tried, strict=True)]
            tried = following
            if all(m <= 1e-9 * span for m, span in zip(moved, spans, strict=True)):
                return [np.float64(low + t) for low, t in zip(lows, tried, strict=True)]
        raise InputError("No threshold was found by 'li', which did not converge; choose another method or a number.")


def _li_step(mean_above: float, mean_below: float) -> float:
    return float((mean_below - mean_above) / (np.log(mean_below) - np.log(mean_above)))


def _count(work: _Pass, number: int) -> Histogram:
    dtype = work.volumes.source.dtype
    if np.dtype(dtype).itemsize <= 2:
        return histogram_of_counts(work.volumes.counts(number), dtype)
    return count_values(work.volumes.read(number))


def _extent(work: _Pass, number: int) -> tuple[Any, Any]:
    block = work.volumes.read(number)
    return block.min(), block.max()


def _sum(work: _Pass, number: int) -> ExactSum:
    return exact_sum(work.volumes.read(number))


def _bin(work: _Pass, number: int) -> Array:
    volume, _ = work.volumes.place(number)
    low, high, bins = work.parameters[volume]
    return np.histogram(work.volumes.read(number), bins, (low, high))[0]


def _distinct(work: _Pass, number: int) -> tuple[Array, Array] | None:
    values, counts = np.unique(work.volumes.read(number), return_counts=True)
    return (values, counts) if len(values) <= MAX_DISTINCT else None


def _two_sums(work: _Pass, number: int) -> tuple[ExactSum, ExactSum]:
    volume, _ = work.volumes.place(number)
    block = work.volumes.read(number)
    above = block > work.parameters[volume]
    return exact_sum(block[above]), exact_sum(block[~above])


def _two_means(_: int, sides: tuple[ExactSum, ExactSum]) -> list[float | None]:
    return [side.mean() if side.count else None for side in sides]


def _add(a: Any, b: Any) -> Any:
    return a + b


def _add_sides(a: tuple[ExactSum, ExactSum], b: tuple[ExactSum, ExactSum]) -> tuple[ExactSum, ExactSum]:
    return a[0] + b[0], a[1] + b[1]


def widen(a: tuple[Any, Any], b: tuple[Any, Any]) -> tuple[Any, Any]:
    """Join the minima and maxima of two blocks."""
    # np.minimum keeps NaN, which min() would lose depending on the order.
    return np.minimum(a[0], b[0]), np.maximum(a[1], b[1])


def _unite(a: tuple[Array, Array] | None, b: tuple[Array, Array] | None) -> tuple[Array, Array] | None:
    if a is None or b is None:
        return None
    values, inverse = np.unique(np.concatenate((a[0], b[0])), return_inverse=True)
    if len(values) > MAX_DISTINCT:
        return None
    counts = np.bincount(inverse, weights=np.concatenate((a[1], b[1]))).astype(np.int64)
    return values, counts
