"""A given range, over the whole type."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.intensity._range import DTYPE, ENDS, SPREAD, in_order, spread
from chunkwise.operations.model import Example, Image


def window(image: Any, *, low: float | None, high: float | None, dtype: str) -> Any:
    """Spread what lies between two values; without them, what the type can hold, and of floats 0 to 1."""
    import numpy as np

    ends = (0.0, 1.0) if image.dtype.kind == "f" else (np.iinfo(image.dtype).min, np.iinfo(image.dtype).max)
    return spread(image, ends[0] if low is None else low, ends[1] if high is None else high, dtype)


OPERATION = of_image(
    name="window",
    family="intensity",
    title="Rescaling of a given range",
    does="stretches the range between two values to 0 to 1, or up to the largest value of an integer type",
    parameters={**ENDS, "dtype": DTYPE},
    refuses=in_order,
    gives=Image(dtype=lambda _, dtype, **__: dtype, contrast="new"),
    kernel=window,
    working_set=8.0,
    equals=SPREAD.format(
        "((0 if image.dtype.kind == 'f' else numpy.iinfo(image.dtype).min) if low is None else low, "
        "(1 if image.dtype.kind == 'f' else numpy.iinfo(image.dtype).max) if high is None else high)"
    ),
    examples=(Example("coins_2d.ome.zarr", {"low": 50.0, "high": 200.0, "dtype": "uint8"}),),
)
