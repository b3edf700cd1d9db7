"""What may become negative is computed, and given, in floats: unsigned integers would wrap around."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Operation, Parameter

#: The image in the words of NumPy.
FLOATS: Final = "(image if image.dtype.kind == 'f' else image.astype(float))"


def dtype(of: str, **_: Any) -> str:
    """The type of the result."""
    return of if of.startswith("float") else "float64"


def in_floats(image: Any) -> Any:
    """The image, in floats."""
    return image if image.dtype.kind == "f" else image.astype("float64")


def floats(
    name: str, title: str, does: str, kernel: Callable[..., Any], equals: str, values: dict[str, Any], **more: Any
) -> Operation:
    """Declare a filter whose result is in floats; ``values`` are of the first example."""
    given: dict[str, Any] = {
        "reach": lambda **_: 1,
        "working_set": 0.0,
        "scratch": 15.0,
        "exact": {"iuf": "bit"},
        **more,
    }
    parameters: dict[str, Parameter] = given.pop("parameters", {})
    return Operation(
        name=name,
        family="filter",
        title=title,
        does=does,
        part=PART,
        parameters=parameters,
        takes={"image": Image("iuf")},
        gives=Image(dtype=dtype, contrast="new"),
        kernel=kernel,
        equals=equals,
        examples=(Example("coins_2d.ome.zarr", values), Example("cells_zyx_v04.ome.zarr", values)),
        **given,
    )
