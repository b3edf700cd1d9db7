"""The maximum of every neighbourhood."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.filter._size import SIZE, reach
from chunkwise.operations.model import Example


def maximum(image: Any, *, size: int | tuple[int, ...]) -> Any:
    """Take the maximum of a box around every voxel; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import dilation

    return dilation(image, reach(size), "box")


OPERATION = of_image(
    name="maximum",
    family="filter",
    title="Maximum filter",
    does="replaces every voxel by the largest value in its neighbourhood, which widens what is bright",
    parameters={"size": SIZE},
    kernel=maximum,
    reach=reach,
    working_set=2.0,
    equals="scipy.ndimage.maximum_filter(image, size)",
    examples=(Example("coins_2d.ome.zarr", {"size": 5}),),
)
