"""Erosion by a ball or a box."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.morphology._footprint import SHAPE, morphology


def erode(image: Any, *, radius: int | tuple[int, ...], footprint: str) -> Any:
    """Take the minimum around every voxel; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import erosion

    return erosion(image, radius, footprint)


OPERATION = morphology(
    "erode",
    "Erosion",
    "shrinks what is bright, or true: every voxel becomes the smallest of its neighbourhood",
    f"skimage.morphology.erosion(image, {SHAPE})",
    erode,
)
