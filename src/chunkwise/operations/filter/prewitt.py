"""Edges, as Prewitt weighed them."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._along import AXIS, EQUALS, place_of
from chunkwise.operations.filter._floats import floats, in_floats


def prewitt(image: Any, *, axis: str) -> Any:
    """The differences along an axis, or the root mean square of those along each."""
    from skimage import filters

    called: Any = filters
    return called.prewitt(in_floats(image), axis=None if axis == "all" else place_of(axis, image))


OPERATION = floats(
    "prewitt",
    "Prewitt filter",
    "shows edges by the Prewitt operator, which weighs neighbours equally; gives floats",
    prewitt,
    EQUALS.format(name="prewitt"),
    {},
    parameters={"axis": AXIS},
)
