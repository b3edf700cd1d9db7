"""The threshold of Otsu, of a whole volume."""

from __future__ import annotations

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic(
    "otsu", "Otsu threshold", "parts voxels into two classes that vary least, for images of two clear kinds of voxels"
)
