"""Laplacian of Gaussian."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import in_both
from chunkwise.operations.filter._along import AXIS, DERIVATIVE, derivative
from chunkwise.operations.filter._floats import FLOATS, floats, in_floats
from chunkwise.operations.filter.gaussian import SIGMA, reach, some


def log(image: Any, *, sigma: float | tuple[float, ...], axis: str) -> Any:
    """Differentiate and smooth in one."""
    from scipy.ndimage import gaussian_laplace

    return gaussian_laplace(in_floats(image), sigma) if axis == "all" else derivative(image, sigma, 2, axis)


OPERATION = floats(
    name="log",
    title="Laplacian of Gaussian",
    does="shows spots of a given size: negative on bright ones, most at a radius of 1.4 sigma in 2-D; along one axis, "
    "it is the second derivative; gives floats",
    kernel=log,
    equals=f"scipy.ndimage.gaussian_laplace({FLOATS}, sigma) if axis == 'all' else {DERIVATIVE.format(order=2)}",
    examples=in_both(sigma=1.0),
    parameters={"sigma": SIGMA, "axis": AXIS},
    refuses=some,
    reach=reach,
    rounds=True,
)
