"""An end to what is too dark or too bright."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.intensity._range import ENDS, in_order
from chunkwise.operations.model import Example


def clip(image: Any, *, low: float | None, high: float | None) -> Any:
    """Move what lies outside of a range to its ends; of integers, these are rounded inwards, and lie in the type."""
    from math import ceil, floor

    import numpy as np

    if image.dtype.kind != "f":
        own = np.iinfo(image.dtype)
        low = own.min if low is None else min(max(ceil(low), own.min), own.max)
        high = own.max if high is None else max(min(floor(high), own.max), own.min)
    if low is None and high is None:
        return image
    return np.clip(image, low, high)


OPERATION = of_image(
    name="clip",
    family="intensity",
    title="Clipping",
    does="limits intensities to a range; for integers, its ends are rounded inwards",
    parameters=ENDS,
    refuses=in_order,
    kernel=clip,
    equals=(
        "numpy.clip(image, low, high) if image.dtype.kind == 'f' else numpy.clip(numpy.clip(image.astype(float), "
        "None if low is None else numpy.ceil(low), None if high is None else numpy.floor(high)), "
        "numpy.iinfo(image.dtype).min, numpy.iinfo(image.dtype).max).astype(image.dtype)"
    ),
    examples=(Example("coins_2d.ome.zarr", {"low": 50.5, "high": 180.0}),),
)
