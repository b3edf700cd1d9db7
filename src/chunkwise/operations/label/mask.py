"""A mask of all objects."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import of_labels
from chunkwise.operations.model import Example, Mask


def mask(image: Any) -> Any:
    """Mark the voxels of all objects."""
    return image != 0


OPERATION = of_labels(
    name="mask",
    title="Mask of objects",
    does="marks the voxels of all objects, as a mask",
    gives=Mask(),
    kernel=mask,
    equals="image != 0",
    examples=(Example("coins_2d_labels.ome.zarr"),),
)
