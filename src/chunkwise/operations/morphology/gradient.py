"""Edges: how much the neighbourhood differs."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.morphology._footprint import DIFFERENCE, SHAPE, by_shape


def gradient(image: Any, *, radius: int | tuple[int, ...], footprint: str) -> Any:
    """Take the maximum around every voxel less the minimum; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import difference, dilation, erosion

    return difference(dilation(image, radius, footprint), erosion(image, radius, footprint))


OPERATION = by_shape(
    name="gradient",
    title="Morphological gradient",
    does="shows edges: the largest minus the smallest value of the neighbourhood",
    equals=f"{DIFFERENCE}(skimage.morphology.dilation(image, {SHAPE}), skimage.morphology.erosion(image, {SHAPE}))",
    kernel=gradient,
    working_set=4.0,
)
