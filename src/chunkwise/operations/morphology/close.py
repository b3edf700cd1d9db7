"""Closing by a ball or a box."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.morphology._footprint import SHAPE, morphology, twice


def close(image: Any, *, radius: int | tuple[int, ...], footprint: str) -> Any:
    """Take the maximum, and of that the minimum around every voxel; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import closing

    return closing(image, radius, footprint)


OPERATION = morphology(
    "close",
    "Closing",
    "fills dark (or false) gaps that are narrower than the shape",
    f"skimage.morphology.closing(image, {SHAPE})",
    close,
    reach=twice,
)
