"""The size of what is kept, and how top-hats are declared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Operation, Parameter

RADIUS: Final = Parameter(
    int,
    25,
    "Radius",
    "radius of the ball (a disk in 2-D), a whole number of voxels, larger than that of the objects",
    unit="voxel",
    measures="step",
    least=1,
    most=200,
)


def background(
    name: str,
    title: str,
    does: str,
    kernel: Callable[..., Any],
    equals: str,
    examples: tuple[Example, ...],
    **more: Any,
) -> Operation:
    """Declare one of them."""
    return Operation(
        name=name,
        family="background",
        title=title,
        does=does,
        part=PART,
        takes={"image": Image("iuf")},
        gives=Image(dtype="same", downsampling="mean"),
        kernel=kernel,
        equals=equals,
        exact={"iuf": "bit"},
        examples=examples,
        **more,
    )


def examples(name: str, radius: float) -> tuple[Example, ...]:
    """A wide one that shows something, and a narrow one of a stack."""
    return (Example("coins_2d.ome.zarr", {name: radius}), Example("cells_zyx_v04.ome.zarr", {name: type(radius)(3)}))
