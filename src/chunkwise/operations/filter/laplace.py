"""The Laplace operator."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._floats import FLOATS, floats, in_floats


def laplace(image: Any) -> Any:
    """The sum of second differences along each axis."""
    from scipy.ndimage import laplace

    return laplace(in_floats(image))


OPERATION = floats(
    name="laplace",
    title="Laplace filter",
    does="sums the second derivatives: negative on bright spots and lines, positive on dark ones; gives floats",
    kernel=laplace,
    equals=f"scipy.ndimage.laplace({FLOATS})",
)
