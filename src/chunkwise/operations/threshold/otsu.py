"""The threshold of Otsu, of a whole volume."""

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic(
    "otsu",
    "Otsu threshold",
    "separates voxels into two classes with the least variance, for images with two distinct kinds of voxel",
)
