"""Another type of voxel."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.intensity._range import DTYPE, refuse_nan
from chunkwise.operations.model import Example, Image


def cast(image: Any, *, dtype: str) -> Any:
    """Round to whole numbers where the type has only these, and end at its smallest and largest value."""
    import numpy as np

    if dtype.startswith("float"):
        return image.astype(dtype)
    ends = np.iinfo(dtype)
    if image.dtype.kind == "f":
        refuse_nan(image)
        image = np.rint(image.astype(np.float64))
        return np.clip(image, ends.min, ends.max).astype(dtype)
    own = np.iinfo(image.dtype)
    return np.clip(image, max(ends.min, own.min), min(ends.max, own.max)).astype(dtype)


OPERATION = of_image(
    name="cast",
    family="intensity",
    title="Conversion of the voxel type",
    does="converts voxels to another type; for integers, values are rounded and limited to the range of the type",
    parameters={"dtype": DTYPE},
    takes={"image": Image("iufe")},
    gives=Image(dtype=lambda _, dtype: dtype),
    kernel=cast,
    working_set=8.0,
    equals=(
        "image.astype(dtype) if dtype[0] == 'f' else numpy.clip("
        "numpy.rint(image.astype(float)), numpy.iinfo(dtype).min, numpy.iinfo(dtype).max).astype(dtype)"
    ),
    examples=(Example("coins_2d.ome.zarr", {"dtype": "uint16"}), Example("cells_zyx_v04.ome.zarr", {"dtype": "uint8"})),
)
