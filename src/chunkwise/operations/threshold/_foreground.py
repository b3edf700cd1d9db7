"""What becomes true, and what several thresholds are told besides."""

from __future__ import annotations

from typing import Any, Final

from chunkwise.operations.model import Parameter

FOREGROUND: Final = Parameter(
    str,
    "bright",
    "Mask shows",
    "which voxels become true: those brighter than the threshold, or those that are not",
    choices=("bright", "dark"),
)
OFFSET: Final = Parameter(
    float, 0.0, "Offset", "subtracted from the threshold; a number above 0 makes more voxels count as bright"
)
SIZE: Final = Parameter(
    int,
    35,
    "Size",
    "edge length of the box around each voxel that is looked at",
    unit="voxel",
    measures="window",
    least=3,
    most=255,
    odd=True,
)


def compare(image: Any, threshold: Any, foreground: str) -> Any:
    """Compare an image with a number, or with a threshold for every voxel."""
    return image > threshold if foreground == "bright" else ~(image > threshold)
