"""A mask of all objects."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import PART, TAKES
from chunkwise.operations.model import Example, Mask, Operation


def mask(image: Any) -> Any:
    """Mark the voxels of all objects."""
    return image != 0


OPERATION = Operation(
    name="mask",
    family="label",
    title="Mask of objects",
    does="marks the voxels of all objects, as a mask",
    part=PART,
    takes=TAKES,
    gives=Mask(),
    kernel=mask,
    working_set=1.0,
    equals="image != 0",
    exact={"iu": "bit"},
    examples=(Example("coins_2d_labels.ome.zarr"),),
)
