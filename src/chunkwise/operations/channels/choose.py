"""Some channels, in an order and with names of one's own."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.channels._colours import NAMES, WHERE
from chunkwise.operations.model import Example, Image, Operation


def choose(image: Any, *, names: str | None) -> Any:
    """Leave voxels as they are: which channels are read, and their names, is seen to by the chain."""
    del names
    return image


OPERATION = Operation(
    name="choose",
    family="channels",
    title="Selection, order and names of channels",
    does="keeps the channels that are chosen, in that order, with their colours and contrast, and renames them",
    part=WHERE,
    parameters={"names": NAMES},
    takes={"image": Image("biuf")},
    gives=Image(),
    kernel=choose,
    mixes=0,
    chain="chunkwise.running.chains.channels:run",
    working_set=0.0,
    equals="image",
    exact={"biuf": "bit"},
    examples=(
        Example("tissue_rgb.ome.zarr", {"names": "red,green,blue"}),
        Example("cells_tczyx.ome.zarr", part={"channel": ["GFP", "DAPI"]}),
    ),
)
