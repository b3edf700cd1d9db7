"""A percentile of every neighbourhood."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.filter._size import SIZE, reach
from chunkwise.operations.model import Example, Parameter


def percentile(image: Any, *, size: int | tuple[int, ...], percentile: float) -> Any:
    """Take a percentile of a box around every voxel; see :mod:`chunkwise.ops.median`."""
    from math import prod

    from chunkwise.ops.median import median
    from chunkwise.ops.morphology import dilation, erosion, refuse_rounding

    sizes = (size,) * image.ndim if isinstance(size, int) else size
    count = prod(sizes)
    rank = int(count * percentile / 100)  # as SciPy counts
    if rank == 0:
        return erosion(image, reach(sizes), "box")
    if rank >= count - 1:
        return dilation(image, reach(sizes), "box")
    refuse_rounding(image)
    found = median(image, sizes, rank=rank)
    found += 0  # a zero with a minus is equal to one without, and has other bytes
    return found


OPERATION = of_image(
    name="percentile",
    family="filter",
    title="Percentile filter",
    does="replaces every voxel by a percentile of its neighbourhood, such as 90 for a softer maximum",
    parameters={
        "size": SIZE,
        "percentile": Parameter(
            float, 50.0, "Percentile", "percentage that is darker: 50 is the median", unit="percent", least=0, most=100
        ),
    },
    kernel=percentile,
    reach=reach,
    equals="scipy.ndimage.percentile_filter(image, percentile, size)",
    examples=(Example("coins_2d.ome.zarr", {"size": 3, "percentile": 90.0}),),
)
