"""Holes: how methods that fill them are declared."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Mask, Operation


def holes(name: str, title: str, does: str, equals: str, values: dict[str, Any], **more: Any) -> Operation:
    """Declare one of them; ``values`` are those of its example."""
    return Operation(
        name=name,
        family="morphology",
        title=title,
        does=does,
        part=PART,
        takes={"image": Image("b")},
        gives=Mask(),
        chain="chunkwise.running.chains.holes:run",
        working_set=12.0,
        equals=equals,
        exact={"b": "bit"},
        examples=(Example("coins_2d_mask.ome.zarr", values),),
        **more,
    )
