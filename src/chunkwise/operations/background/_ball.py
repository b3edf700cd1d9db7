"""The size of what is kept, and how what a ball keeps is declared."""

from __future__ import annotations

from functools import partial
from typing import Final

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Parameter
from chunkwise.operations.morphology._footprint import once

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

#: What a ball decides; without another reach, it is gone over once.
by_ball: Final = partial(
    of_image,
    family="background",
    parameters={"radius": RADIUS},
    reach=once,
    examples=(Example("coins_2d.ome.zarr", {"radius": 35}), Example("cells_zyx_v04.ome.zarr", {"radius": 3})),
)
