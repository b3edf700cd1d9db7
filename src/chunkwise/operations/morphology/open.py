"""Opening by a ball or a box."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.morphology._footprint import SHAPE, morphology, twice


def open_(image: Any, *, radius: int | tuple[int, ...], footprint: str) -> Any:
    """Take the minimum, and of that the maximum around every voxel; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import opening

    return opening(image, radius, footprint)


OPERATION = morphology(
    "open",
    "Opening",
    "removes bright (or true) structures that are narrower than the shape",
    f"skimage.morphology.opening(image, {SHAPE})",
    open_,
    reach=twice,
)
