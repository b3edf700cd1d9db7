"""What a wide Gaussian leaves over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.filter._floats import FLOATS, in_floats
from chunkwise.operations.filter.gaussian import SIGMA, reach
from chunkwise.operations.model import Example


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


OPERATION = of_image(
    name="gaussian",
    family="background",
    title="Gaussian subtraction",
    does="subtracts the image smoothed with a wide Gaussian; in unsigned integers, what is darker than that becomes 0",
    kernel=gaussian,
    equals=(
        "(lambda made: made if image.dtype.kind == 'f' else numpy.clip(numpy.rint(made), numpy.iinfo(image.dtype).min, "
        f"numpy.iinfo(image.dtype).max).astype(image.dtype))({FLOATS} - scipy.ndimage.gaussian_filter({FLOATS}, sigma))"
    ),
    parameters={
        "sigma": replace(
            SIGMA,
            default=25.0,
            help="standard deviation of the Gaussian, which has to be wider than the objects",
            least=0.1,
        )
    },
    reach=reach,
    rounds=True,
    working_set=0.0,
    scratch=18.0,
    examples=(Example("coins_2d.ome.zarr", {"sigma": 40.0}), Example("cells_zyx_v04.ome.zarr", {"sigma": 3.0})),
)
