"""Holes that are enclosed."""

from chunkwise.operations.model import Example
from chunkwise.operations.morphology._holes import holes

OPERATION = holes(
    name="fill-holes",
    title="Filling of holes",
    does="fills holes of a mask, of any size: background that is enclosed, and connected across faces with no border "
    "of the image",
    equals="scipy.ndimage.binary_fill_holes(image)",
    examples=(Example("coins_2d_mask.ome.zarr"),),
)
