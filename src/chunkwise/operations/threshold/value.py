"""One threshold, given as a number."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Mask, Operation, Parameter
from chunkwise.operations.threshold._foreground import FOREGROUND, compare


def value(image: Any, *, threshold: float, foreground: str) -> Any:
    """Compare every voxel with a number."""
    return compare(image, threshold, foreground)


OPERATION = Operation(
    name="value",
    family="threshold",
    title="Threshold by a number",
    does="compares every voxel with a number",
    part=PART,
    parameters={
        "threshold": Parameter(float, None, "Threshold", "the number that voxels are compared with", required=True),
        "foreground": FOREGROUND,
    },
    takes={"image": Image("iuf")},
    gives=Mask(),
    kernel=value,
    reach=lambda **_: 0,
    rate=0.008,
    working_set=1.0,
    equals="(image > threshold) == (foreground == 'bright')",
    exact={"iuf": "bit"},
    examples=(Example("coins_2d.ome.zarr", {"threshold": 100.0}),),
)
