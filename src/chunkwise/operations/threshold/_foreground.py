"""What becomes true: shared by all thresholds."""

from __future__ import annotations

from typing import Any, Final

from chunkwise.operations.model import Parameter

FOREGROUND: Final = Parameter(
    str,
    "bright",
    "True is",
    "what becomes true: voxels brighter than the threshold, or those not brighter",
    choices=("bright", "dark"),
)


def compare(image: Any, threshold: Any, foreground: str) -> Any:
    """Compare an image with a number, or with a threshold for every voxel."""
    return image > threshold if foreground == "bright" else ~(image > threshold)
