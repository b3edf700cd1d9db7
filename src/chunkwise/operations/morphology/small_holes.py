"""Holes up to a size."""

from chunkwise.operations.model import Parameter
from chunkwise.operations.morphology._holes import holes

OPERATION = holes(
    "small-holes",
    "Filling of small holes",
    "fills holes of a mask up to a size: pieces of background, connected across faces, also those at the border of the "
    "image",
    "skimage.morphology.remove_small_holes(image, max_size=max_size)",
    {"max_size": 20},
    parameters={"max_size": Parameter(int, 64, "Maximum size", "holes of more voxels are left", unit="voxel", least=0)},
)
