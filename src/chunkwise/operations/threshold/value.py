"""One threshold, given as a number."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Mask, Parameter
from chunkwise.operations.threshold._foreground import FOREGROUND, compare


def value(image: Any, *, threshold: float, foreground: str) -> Any:
    """Compare every voxel with a number."""
    return compare(image, threshold, foreground)


OPERATION = of_image(
    name="value",
    family="threshold",
    title="Threshold by a number",
    does="compares every voxel with a number",
    parameters={
        "threshold": Parameter(float, None, "Threshold", "the number that voxels are compared with", required=True),
        "foreground": FOREGROUND,
    },
    gives=Mask(),
    kernel=value,
    equals="(image > threshold) == (foreground == 'bright')",
    examples=(Example("coins_2d.ome.zarr", {"threshold": 100.0}),),
)
