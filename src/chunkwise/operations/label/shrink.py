"""Objects that shrink."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import in_32_bits, of_labels
from chunkwise.operations.model import Example, Parameter


def shrink(image: Any, *, radius: int) -> Any:
    """Leave voxels around which, in a box, there is nothing but their own object."""
    import numpy as np
    from scipy.ndimage import maximum_filter, minimum_filter

    edge = 2 * radius + 1
    numbers = in_32_bits(image)
    alone = (minimum_filter(numbers, edge) == numbers) & (maximum_filter(numbers, edge) == numbers)
    return np.where(alone, image, 0)


OPERATION = of_labels(
    name="shrink",
    title="Shrinking of objects",
    does="takes a rim off every object, also where objects touch, but not at the border of the image",
    parameters={
        "radius": Parameter(int, 1, "Radius", "how many voxels are taken off", unit="voxel", least=0, most=127),
    },
    kernel=shrink,
    reach=lambda radius: radius,
    working_set=4.0,
    equals=(
        "numpy.where((scipy.ndimage.minimum_filter(image, 2 * radius + 1) == image) & "
        "(scipy.ndimage.maximum_filter(image, 2 * radius + 1) == image), image, 0)"
    ),
    examples=(Example("coins_2d_labels.ome.zarr", {"radius": 3}),),
)
