"""Opening by a ball or a box."""

from functools import partial

from chunkwise.operations.morphology._footprint import SHAPE, by_shape, shaped, twice

OPERATION = by_shape(
    name="open",
    title="Opening",
    does="removes bright (or true) structures that are narrower than the shape",
    equals=f"skimage.morphology.opening(image, {SHAPE})",
    kernel=partial(shaped, "opening"),
    reach=twice,
)
