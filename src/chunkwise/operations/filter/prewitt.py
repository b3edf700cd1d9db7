"""Edges, as Prewitt weighed them."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.filter._floats import FLOATS, floats, in_floats


def prewitt(image: Any) -> Any:
    """The root mean square of the differences along each axis."""
    from skimage.filters import prewitt

    return prewitt(in_floats(image))  # type: ignore[no-untyped-call]


OPERATION = floats(
    "prewitt",
    "Prewitt filter",
    "shows edges by the Prewitt operator, which weighs neighbours equally; gives floats",
    prewitt,
    f"skimage.filters.prewitt({FLOATS})",
    {},
)
