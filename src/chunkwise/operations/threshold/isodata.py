"""Isodata threshold."""

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic(
    "isodata", "Isodata threshold", "uses the value midway between the means of the two classes that it separates"
)
