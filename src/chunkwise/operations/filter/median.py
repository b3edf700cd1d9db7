"""The median of every neighbourhood."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.filter._size import SIZE, reach
from chunkwise.operations.model import Example


def median(image: Any, *, size: int | tuple[int, ...]) -> Any:
    """Take the median of a box around every voxel; see :mod:`chunkwise.ops.median`."""
    from chunkwise.ops.median import median

    found = median(image, size)
    found += 0  # a zero with a minus is equal to one without, and has other bytes
    return found


OPERATION = of_image(
    name="median",
    family="filter",
    title="Median filter",
    does="replaces every voxel by the median of its neighbourhood, which removes single bright or dark voxels",
    parameters={"size": SIZE},
    kernel=median,
    reach=reach,
    equals="scipy.ndimage.median_filter(image, size)",
    examples=(Example("coins_2d.ome.zarr", {"size": 5}),),
)
