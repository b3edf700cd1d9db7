"""Triangle threshold."""

from __future__ import annotations

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic(
    "triangle",
    "Triangle threshold",
    "takes the corner of the histogram beside its peak, for few objects on much ground",
)
