"""Gradient magnitude."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._floats import FLOATS, floats, in_floats
from chunkwise.operations.filter.gaussian import SIGMA, reach, some


def gradient(image: Any, *, sigma: float | tuple[float, ...]) -> Any:
    """Differentiate and smooth in one."""
    from scipy.ndimage import gaussian_gradient_magnitude

    return gaussian_gradient_magnitude(in_floats(image), sigma)


OPERATION = floats(
    "gradient",
    "Gradient magnitude",
    "shows edges at a given scale: the gradient magnitude after Gaussian smoothing; gives floats",
    gradient,
    f"scipy.ndimage.gaussian_gradient_magnitude({FLOATS}, sigma)",
    {"sigma": 1.0},
    parameters={"sigma": SIGMA},
    refuses=some,
    reach=reach,
)
