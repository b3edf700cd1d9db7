"""The mean of every neighbourhood."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.filter._size import SIZE, reach
from chunkwise.operations.model import Example


def mean(image: Any, *, size: int | tuple[int, ...]) -> Any:
    """Take the mean of a box around every voxel."""
    import numpy as np
    from scipy.ndimage import correlate1d, uniform_filter

    if image.dtype.kind != "f" and image.dtype.itemsize < 8:
        return uniform_filter(image, size)  # its running sums are exact
    # Of other voxels they would be rounded differently in every block, and one that is no number would spoil its line.
    for axis, edge in enumerate((size,) * image.ndim if isinstance(size, int) else size):
        sums = correlate1d(image, np.ones(edge), axis, output=np.float64)
        image = (sums / edge).astype(image.dtype)
    return image


OPERATION = of_image(
    name="mean",
    family="filter",
    title="Mean filter",
    does="replaces every voxel by the mean of its neighbourhood, which removes noise",
    parameters={"size": SIZE},
    kernel=mean,
    reach=reach,
    equals="scipy.ndimage.uniform_filter(image, size)",
    exact={"iu": "bit", "f": "rtol 1e-6"},
    examples=(Example("coins_2d.ome.zarr", {"size": 5}),),
)
