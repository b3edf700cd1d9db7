"""Dark for bright."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Image


def invert(image: Any) -> Any:
    """Turn the range of the type around."""
    import numpy as np

    if image.dtype.kind == "f":
        return np.subtract(1, image, dtype=image.dtype)
    return ~image  # of signed integers, this is -1 less the value


OPERATION = of_image(
    name="invert",
    family="intensity",
    title="Inversion",
    does="turns bright into dark: the type's largest value (signed: -1, floats: 1) minus the voxel's",
    takes={"image": Image("biuf")},
    gives=Image(dtype="same", contrast="new"),
    kernel=invert,
    equals="skimage.util.invert(image)",
    exact={"biuf": "bit"},
    examples=(Example("coins_2d.ome.zarr"),),
)
