"""The threshold of Sauvola, for every voxel."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.threshold._foreground import compare
from chunkwise.operations.threshold._spread import by_spread, mean_and_deviation

#: Half of what the type holds.
HALF = "(1 if image.dtype.kind == 'f' else (float(numpy.iinfo(image.dtype).max) - numpy.iinfo(image.dtype).min) / 2)"


def sauvola(image: Any, *, size: int | tuple[int, ...], k: float, foreground: str) -> Any:
    """Compare every voxel with what is around it."""
    import numpy as np

    ends = None if image.dtype.kind == "f" else np.iinfo(image.dtype)
    half = 1.0 if ends is None else (float(ends.max) - ends.min) / 2
    mean, deviation = mean_and_deviation(image, size)
    return compare(image, mean * (1 + k * (deviation / half - 1)), foreground)


OPERATION = by_spread(
    "sauvola",
    "Sauvola threshold",
    "like Niblack, but lower where there is little contrast; for dark text on a stained page",
    sauvola,
    f"mean * (1 + k * (deviation / {HALF} - 1))",
)
