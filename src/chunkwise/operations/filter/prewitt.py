"""Edges, as Prewitt weighed them."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._along import AXIS, EQUALS, difference
from chunkwise.operations.filter._floats import floats


def prewitt(image: Any, *, axis: str) -> Any:
    """The differences along an axis, or the root mean square of those along each."""
    return difference("prewitt", image, axis)


OPERATION = floats(
    "prewitt",
    "Prewitt filter",
    "shows edges by the Prewitt operator, which weighs neighbours equally; gives floats",
    prewitt,
    EQUALS.format(name="prewitt"),
    {},
    parameters={"axis": AXIS},
)
