"""Closing by a ball or a box."""

from functools import partial

from chunkwise.operations.morphology._footprint import SHAPE, by_shape, shaped, twice

OPERATION = by_shape(
    name="close",
    title="Closing",
    does="fills dark (or false) gaps that are narrower than the shape",
    equals=f"skimage.morphology.closing(image, {SHAPE})",
    kernel=partial(shaped, "closing"),
    reach=twice,
)
