"""Thresholds of a whole volume from summaries of its blocks.

For integers whose values span a moderate range the summary is the exact histogram, and the
threshold is scikit-image's to the bit. For floats, and integers that span more, the minimum and
maximum are taken first and then the 256 bins that scikit-image would take. ``li`` and ``mean`` of
floats are sums over all voxels, taken in float64: the same up to rounding.

References: ``skimage.filters.threshold_otsu``, ``_li``, ``_triangle``, ``_yen``, ``_isodata`` and
``_mean`` on the whole volume.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.errors import InputError

__all__ = [
    "EXACT_SPAN",
    "METHODS",
    "Histogram",
    "count_values",
    "decode",
    "encode",
    "histogram_of_counts",
    "threshold_of_bins",
    "threshold_of_values",
    "threshold_of_volume",
]

Array = np.ndarray[Any, Any]

METHODS = ("otsu", "li", "triangle", "yen", "isodata", "mean")

#: Integers are counted value by value up to this span (32 MiB of counts).
EXACT_SPAN = 2**22


@dataclass(frozen=True)
class Histogram:
    """Exact counts of integer values: ``counts[i]`` voxels have the value ``low + i``."""

    low: int
    counts: Array

    def __add__(self, other: Histogram) -> Histogram:
        """Histogram of both; associative and commutative."""
        low = min(self.low, other.low)
        high = max(self.low + len(self.counts), other.low + len(other.counts))
        counts = np.zeros(high - low, np.int64)
        for part in (self, other):
            counts[part.low - low : part.low - low + len(part.counts)] += part.counts
        return Histogram(low, counts)


def count_values(volume: Array) -> Histogram:
    """Count the values of an integer block, of any shape."""
    low = int(volume.min())
    # Subtracting in the block's own type could wrap around; in 64 bits of the same sign it cannot.
    shifted = (
        volume.ravel() - volume.dtype.type(low) if volume.dtype.kind == "u" else volume.ravel().astype(np.int64) - low
    )
    return Histogram(low, np.bincount(shifted.astype(np.int64)))


def histogram_of_counts(counts: Array, dtype: str) -> Histogram:
    """The histogram of an 8 or 16 bit volume from the counts of every value that its type has."""
    occupied = np.flatnonzero(counts)
    first, last = (int(occupied[0]), int(occupied[-1])) if len(occupied) else (0, 0)
    return Histogram(int(np.iinfo(dtype).min) + first, counts[first : last + 1])


def threshold_of_values(method: str, histogram: Histogram, dtype: str) -> Any:
    """Threshold of an integer volume from its exact histogram.

    Parameters
    ----------
    method : str
        One of :data:`METHODS`.
    histogram : Histogram
        Of the whole volume.
    dtype : str
        Of the volume.

    Returns
    -------
    numpy scalar
        As scikit-image returns it.

    Raises
    ------
    InputError
        If there is none.
    """
    occupied = np.flatnonzero(histogram.counts)
    counts = histogram.counts[occupied[0] : occupied[-1] + 1]
    low = histogram.low + int(occupied[0])
    values = np.arange(low, low + len(counts))
    if method == "mean":
        return np.float64((counts * values).sum() / counts.sum())
    if len(counts) == 1:
        return np.dtype(dtype).type(low)
    if method == "li":
        return _guarded(method, lambda: _li(counts, values, np.dtype(dtype)))
    return threshold_of_bins(method, counts, values)


def threshold_of_volume(method: str, volume: Array) -> Any:
    """Threshold of a volume of integers or floats that is in memory; the rest as of :func:`threshold_of_values`."""
    if volume.dtype.kind in "iu" and int(volume.max()) - int(volume.min()) < EXACT_SPAN:
        return threshold_of_values(method, count_values(volume), volume.dtype.name)
    if not np.isfinite(volume).all():  # li would give a number
        raise InputError(
            f"No threshold was found by '{method}': the image has values that are not finite; give a threshold as a "
            "number."
        )
    from skimage import filters

    function: Callable[[Array], Any] = getattr(filters, f"threshold_{method}")
    # A flat view, because a thin volume is taken for an RGB image, with a warning.
    return _guarded(method, lambda: function(volume.reshape(1, -1)))


def threshold_of_bins(method: str, counts: Array, centers: Array) -> Any:
    """Threshold from counts and bin centers, for the methods that need no more.

    Raises
    ------
    InputError
        If there is none.
    """
    if method in ("otsu", "triangle"):
        own = {"otsu": _otsu, "triangle": _triangle}[method]
        return _guarded(method, lambda: own(counts, centers))
    from skimage import filters

    function = {"yen": filters.threshold_yen, "isodata": filters.threshold_isodata}[method]
    # A copy of the histogram that keeps empty end bins would be trimmed by scikit-image where the image's is not.
    return _guarded(method, lambda: function(hist=(counts, centers)))


def _guarded(method: str, compute: Callable[[], Any]) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value = compute()
    except (ValueError, IndexError, RuntimeError, ZeroDivisionError):
        value = np.nan
    if not np.isfinite(value):
        raise InputError(
            f"No threshold was found by '{method}'; look at the histogram, and choose another method or a number."
        )
    return value


def _li(counts: Array, values: Array, dtype: np.dtype[Any]) -> Any:
    """Li's minimum cross entropy, iterated as in scikit-image on an integer image.

    Li and Tam, "An iterative algorithm for minimum cross entropy thresholding", Pattern
    Recognition Letters 18(8), 1998. doi:10.1016/S0167-8655(98)00057-9
    """
    low = dtype.type(values[0])
    # scikit-image subtracts the minimum in the image's own type, so that wide signed ranges wrap around.
    with np.errstate(over="ignore"):
        shifted = (values.astype(dtype) - low).astype(np.int64)
    order = np.argsort(shifted, kind="stable")
    first = int(shifted[order[0]])
    bins = np.arange(first, int(shifted[order[-1]]) + 1)
    weights = np.zeros(len(bins), np.int64)
    weights[shifted - first] = counts
    weights = weights.astype(np.float32)
    tolerance = 0.5
    following = np.float64((counts * shifted).sum() / counts.sum())
    current = np.float64(-2 * tolerance)
    while abs(following - current) > tolerance:
        current = following
        above = bins > current
        mean_above = np.average(bins[above], weights=weights[above])
        mean_below = np.average(bins[~above], weights=weights[~above])
        if mean_below == 0:
            break
        following = (mean_below - mean_above) / (np.log(mean_below) - np.log(mean_above))
    return following + low


def _otsu(counts: Array, centers: Array) -> Any:
    """The level with the largest variance between the classes, in scikit-image's own steps and precision.

    It is the method of most runs, and scikit-image's filters take as long to import as all else of a small one.
    Otsu, IEEE Transactions on Systems, Man, and Cybernetics 9(1), 1979. doi:10.1109/TSMC.1979.4310076
    """
    occupied = np.flatnonzero(counts)
    inner = slice(occupied[0], occupied[-1] + 1)
    counts, centers = counts[inner].astype(np.float32), centers[inner]
    sums = counts * centers
    below, above = np.cumsum(counts), np.cumsum(counts[::-1])[::-1]
    mean_below, mean_above = np.cumsum(sums) / below, np.cumsum(sums[::-1])[::-1] / above
    between = below[:-1] * above[1:] * (mean_below[:-1] - mean_above[1:]) ** 2
    return centers[np.argmax(between)]


def _triangle(counts: Array, centers: Array) -> Any:
    """The level farthest from the line between the histogram's peak and its longer tail.

    Zack, Rogers and Latt, J. Histochem. Cytochem. 25(7), 1977. doi:10.1177/25.7.70454
    """
    peak, bins = int(np.argmax(counts)), len(counts)
    occupied = np.flatnonzero(counts)
    low, high = int(occupied[0]), int(occupied[-1])
    mirrored = peak - low < high - peak
    if mirrored:
        counts, low, peak = counts[::-1], bins - 1 - high, bins - 1 - peak
    height, width = counts[peak], peak - low
    steps = np.arange(width)
    norm = np.sqrt(height**2 + width**2)
    distance = (height / norm) * steps - (width / norm) * counts[steps + low]
    level = int(np.argmax(distance)) + low
    return centers[bins - 1 - level if mirrored else level]


def encode(value: Any) -> dict[str, Any]:
    """A threshold as JSON that keeps its type, which decides how the comparison is made."""
    if isinstance(value, np.generic):
        return {"value": value.item(), "dtype": value.dtype.name}
    return {"value": value, "dtype": None}


def decode(content: dict[str, Any]) -> Any:
    """The threshold that :func:`encode` wrote."""
    value, dtype = content["value"], content["dtype"]
    return value if dtype is None else np.dtype(dtype).type(value)
