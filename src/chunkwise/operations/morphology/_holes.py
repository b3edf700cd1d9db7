"""Holes: how methods that fill them are declared."""

from __future__ import annotations

from functools import partial
from typing import Final

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Image, Mask

holes: Final = partial(
    of_image,
    family="morphology",
    takes={"image": Image("b")},
    gives=Mask(),
    chain="chunkwise.running.chains.masks:run",
    working_set=12.0,
    exact={"b": "bit"},
)
