"""Outlines of objects."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import in_32_bits, of_labels
from chunkwise.operations.model import Example, Mask, Parameter


def boundaries(image: Any, *, mode: str) -> Any:
    """Mark the voxels where an object ends."""
    from skimage.segmentation import find_boundaries

    return find_boundaries(in_32_bits(image), mode=mode)  # type: ignore[no-untyped-call]


OPERATION = of_labels(
    name="boundaries",
    title="Outline of objects",
    does="marks the voxels where an object ends, as a mask",
    parameters={
        "mode": Parameter(
            str,
            "thick",
            "Where the outline lies",
            "which voxels are the outline",
            choices={
                "thick": "both inside and around the objects",
                "inner": "inside the objects",
                "outer": "around the objects, and where two of them touch",
            },
        ),
    },
    gives=Mask(),
    kernel=boundaries,
    reach=lambda **_: 1,
    working_set=8.0,
    equals="skimage.segmentation.find_boundaries(image, mode=mode)",
    examples=(Example("coins_2d_labels.ome.zarr", {"mode": "inner"}),),
)
