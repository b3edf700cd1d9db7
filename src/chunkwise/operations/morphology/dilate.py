"""Dilation by a ball or a box."""

from functools import partial

from chunkwise.operations.morphology._footprint import SHAPE, by_shape, shaped

OPERATION = by_shape(
    name="dilate",
    title="Dilation",
    does="grows what is bright, or true: every voxel becomes the largest of its neighbourhood",
    equals=f"skimage.morphology.dilation(image, {SHAPE})",
    kernel=partial(shaped, "dilation"),
)
