"""The minimum of every neighbourhood."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.filter._size import SIZE, reach
from chunkwise.operations.model import Example


def minimum(image: Any, *, size: int | tuple[int, ...]) -> Any:
    """Take the minimum of a box around every voxel; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import erosion

    return erosion(image, reach(size), "box")


OPERATION = of_image(
    name="minimum",
    family="filter",
    title="Minimum filter",
    does="replaces every voxel by the smallest value in its neighbourhood, which widens what is dark",
    parameters={"size": SIZE},
    kernel=minimum,
    reach=reach,
    working_set=2.0,
    equals="scipy.ndimage.minimum_filter(image, size)",
    examples=(Example("coins_2d.ome.zarr", {"size": 5}),),
)
