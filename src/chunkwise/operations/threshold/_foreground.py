"""What becomes true, and what several thresholds are told besides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from chunkwise.operations.filter._size import SIZE as filter_size
from chunkwise.operations.model import Parameter

FOREGROUND: Final = Parameter(
    str,
    "bright",
    "Mask shows",
    "which voxels become true",
    choices={"bright": "voxels brighter than the threshold", "dark": "voxels that are not brighter"},
)
OFFSET: Final = Parameter(
    float, 0.0, "Offset", "subtracted from the threshold; a number above 0 makes more voxels count as bright"
)
SIZE: Final = replace(filter_size, default=35, least=3)


def compare(image: Any, threshold: Any, foreground: str) -> Any:
    """Compare an image with a number, or with a threshold for every voxel."""
    return image > threshold if foreground == "bright" else ~(image > threshold)
