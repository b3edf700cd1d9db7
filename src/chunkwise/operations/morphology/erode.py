"""Erosion by a ball or a box."""

from functools import partial

from chunkwise.operations.morphology._footprint import SHAPE, by_shape, shaped

OPERATION = by_shape(
    name="erode",
    title="Erosion",
    does="shrinks what is bright, or true: every voxel becomes the smallest of its neighbourhood",
    equals=f"skimage.morphology.erosion(image, {SHAPE})",
    kernel=partial(shaped, "erosion"),
)
