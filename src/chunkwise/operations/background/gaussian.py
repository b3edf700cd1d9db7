"""What a wide Gaussian leaves over."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.background._ball import background, examples
from chunkwise.operations.filter._floats import FLOATS, in_floats
from chunkwise.operations.filter.gaussian import reach
from chunkwise.operations.model import Parameter


def gaussian(image: Any, *, sigma: float | tuple[float, ...]) -> Any:
    """Subtract in floats, and round to what the type has."""
    import numpy as np

    from chunkwise.ops.gaussian import gaussian
    from chunkwise.ops.morphology import refuse_rounding

    refuse_rounding(image)
    floats = in_floats(image)
    found = floats - gaussian(floats, sigma)
    if image.dtype.kind == "f":
        return found
    ends = np.iinfo(image.dtype)
    return np.clip(np.rint(found, out=found), ends.min, ends.max, out=found).astype(image.dtype)


OPERATION = background(
    "gaussian",
    "Gaussian subtraction",
    "subtracts the image smoothed with a wide Gaussian; in unsigned integers, what is darker than that becomes 0",
    gaussian,
    f"(lambda made: made if image.dtype.kind == 'f' else numpy.clip(numpy.rint(made), numpy.iinfo(image.dtype).min, "
    f"numpy.iinfo(image.dtype).max).astype(image.dtype))({FLOATS} - scipy.ndimage.gaussian_filter({FLOATS}, sigma))",
    examples("sigma", 40.0),
    parameters={
        "sigma": Parameter(
            float,
            25.0,
            "Smoothing (sigma)",
            "standard deviation of the Gaussian, which has to be wider than the objects",
            unit="voxel",
            measures="length",
            least=0.1,
            most=1000,
        )
    },
    reach=reach,
    rounds=True,
    working_set=0.0,
    scratch=18.0,
)
