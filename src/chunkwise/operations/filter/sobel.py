"""Edges, as Sobel weighed them."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._along import AXIS, EQUALS, difference
from chunkwise.operations.filter._floats import floats


def sobel(image: Any, *, axis: str) -> Any:
    """The differences along an axis, or the root mean square of those along each."""
    return difference("sobel", image, axis)


OPERATION = floats(
    "sobel",
    "Sobel filter",
    "shows edges by the Sobel operator, with the weights 1, 2, 1; gives floats",
    sobel,
    EQUALS.format(name="sobel"),
    {},
    parameters={"axis": AXIS},
)
