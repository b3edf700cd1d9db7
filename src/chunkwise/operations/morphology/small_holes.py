"""Holes up to a size."""

from chunkwise.operations.model import Example, Parameter
from chunkwise.operations.morphology._holes import holes

OPERATION = holes(
    name="small-holes",
    title="Filling of small holes",
    does="fills holes of a mask up to a size: pieces of background, connected across faces, also those at the border "
    "of the image",
    equals="skimage.morphology.remove_small_holes(image, max_size=max_size)",
    examples=(Example("coins_2d_mask.ome.zarr", {"max_size": 20}),),
    parameters={"max_size": Parameter(int, 64, "Maximum size", "holes of more voxels are left", unit="voxel", least=0)},
)
