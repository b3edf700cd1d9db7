"""Gradient magnitude, and the first derivative along one axis."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import in_both
from chunkwise.operations.filter._along import AXIS, DERIVATIVE, derivative
from chunkwise.operations.filter._floats import FLOATS, floats, in_floats
from chunkwise.operations.filter.gaussian import SIGMA, reach, some


def gradient(image: Any, *, sigma: float | tuple[float, ...], axis: str) -> Any:
    """Differentiate and smooth in one."""
    from scipy.ndimage import gaussian_gradient_magnitude

    return gaussian_gradient_magnitude(in_floats(image), sigma) if axis == "all" else derivative(image, sigma, 1, axis)


OPERATION = floats(
    name="gradient",
    title="Gradient magnitude",
    does="shows edges at a given scale: the gradient magnitude after Gaussian smoothing, or the slope along one axis; "
    "gives floats",
    kernel=gradient,
    equals=f"scipy.ndimage.gaussian_gradient_magnitude({FLOATS}, sigma) if axis == 'all' "
    f"else {DERIVATIVE.format(order=1)}",
    examples=in_both(sigma=1.0),
    parameters={"sigma": SIGMA, "axis": AXIS},
    refuses=some,
    reach=reach,
    rounds=True,
)
