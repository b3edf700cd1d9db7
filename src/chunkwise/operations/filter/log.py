"""Laplacian of Gaussian."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._floats import FLOATS, floats, in_floats
from chunkwise.operations.filter.gaussian import SIGMA, reach, some


def log(image: Any, *, sigma: float | tuple[float, ...]) -> Any:
    """Differentiate and smooth in one."""
    from scipy.ndimage import gaussian_laplace

    return gaussian_laplace(in_floats(image), sigma)


OPERATION = floats(
    "log",
    "Laplacian of Gaussian",
    "shows spots of a given size: negative on bright ones, most at a radius of 1.4 sigma in 2-D; gives floats",
    log,
    f"scipy.ndimage.gaussian_laplace({FLOATS}, sigma)",
    {"sigma": 1.0},
    parameters={"sigma": SIGMA},
    refuses=some,
    reach=reach,
)
