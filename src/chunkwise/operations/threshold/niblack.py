"""The threshold of Niblack, for every voxel."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.threshold._foreground import compare
from chunkwise.operations.threshold._spread import by_spread, mean_and_deviation


def niblack(image: Any, *, size: int | tuple[int, ...], k: float, foreground: str) -> Any:
    """Compare every voxel with what is around it."""
    mean, deviation = mean_and_deviation(image, size)
    return compare(image, mean - k * deviation, foreground)


OPERATION = by_spread(
    "niblack",
    "Niblack threshold",
    "compares with the local mean minus k standard deviations; for text and other dense detail",
    niblack,
    "mean - k * deviation",
)
