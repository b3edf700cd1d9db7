"""Edges, as Sobel weighed them."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._floats import FLOATS, floats, in_floats


def sobel(image: Any) -> Any:
    """The root mean square of the differences along each axis."""
    from skimage.filters import sobel

    return sobel(in_floats(image))  # type: ignore[no-untyped-call]


OPERATION = floats(
    "sobel",
    "Sobel filter",
    "shows edges by the Sobel operator, with the weights 1, 2, 1; gives floats",
    sobel,
    f"skimage.filters.sobel({FLOATS})",
    {},
)
