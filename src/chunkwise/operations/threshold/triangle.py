"""Triangle threshold."""

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic(
    "triangle",
    "Triangle threshold",
    "uses the corner of the histogram next to its peak, for few objects on a large background",
)
