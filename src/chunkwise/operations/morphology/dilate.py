"""Dilation by a ball or a box."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.morphology._footprint import SHAPE, morphology


def dilate(image: Any, *, radius: int | tuple[int, ...], footprint: str) -> Any:
    """Take the maximum around every voxel; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import dilation

    return dilation(image, radius, footprint)


OPERATION = morphology(
    "dilate",
    "Dilation",
    "grows what is bright, or true: every voxel becomes the largest of its neighbourhood",
    f"skimage.morphology.dilation(image, {SHAPE})",
    dilate,
)
