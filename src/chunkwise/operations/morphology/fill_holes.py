"""Holes that are enclosed."""

from chunkwise.operations.morphology._holes import holes

OPERATION = holes(
    "fill-holes",
    "Filling of holes",
    "fills holes of a mask, of any size: background that is enclosed, and connected across faces with no border of the "
    "image",
    "scipy.ndimage.binary_fill_holes(image)",
    {},
)
