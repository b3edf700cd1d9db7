"""A threshold for every voxel, from its neighbourhood."""

from __future__ import annotations

from math import prod
from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Mask, Parameter
from chunkwise.operations.threshold._foreground import FOREGROUND, OFFSET, SIZE, compare


def local(image: Any, *, weights: str, size: int | tuple[int, ...], offset: float, foreground: str) -> Any:
    """Compare every voxel with what is around it, in the precision in which scikit-image does."""
    import numpy as np
    from scipy.ndimage import correlate1d

    from chunkwise.ops.gaussian import gaussian
    from chunkwise.ops.median import median

    sizes = (size,) * image.ndim if isinstance(size, int) else size
    floats = image.dtype if image.dtype.kind == "f" else np.float64
    if weights == "gaussian":
        around = gaussian(image.astype(floats), tuple((edge - 1) / 6 for edge in sizes))
    elif weights == "median":
        around = median(image, sizes).astype(floats)  # the same as of floats, which take longer to order
    else:
        around = image.astype(np.float64)
        for axis, edge in enumerate(sizes):
            # Running sums, as in uniform_filter, would be rounded differently in every block.
            around = correlate1d(around, np.ones(edge), axis)
        around /= prod(sizes)
    around -= offset
    return compare(image, around, foreground)


def reach(weights: str, size: int | tuple[int, ...], **_: Any) -> int | tuple[int, ...]:
    """How far the neighbourhood counts: a Gaussian ends at four standard deviations, beyond the box."""
    if isinstance(size, tuple):
        return tuple(_far(weights, edge) for edge in size)
    return _far(weights, size)


def _far(weights: str, edge: int) -> int:
    return int(4.0 * ((edge - 1) / 6) + 0.5) if weights == "gaussian" else edge // 2


OPERATION = of_image(
    name="local",
    family="threshold",
    title="Local threshold",
    does="compares every voxel with the mean or median around it, for images with uneven illumination",
    parameters={
        "weights": Parameter(
            str,
            "gaussian",
            "Threshold from",
            "what each voxel is compared with",
            choices={
                "gaussian": "mean around it, in which near voxels weigh more",
                "mean": "mean around it, in which all voxels weigh the same",
                "median": "median around it",
            },
        ),
        "size": SIZE,
        "offset": OFFSET,
        "foreground": FOREGROUND,
    },
    gives=Mask(),
    kernel=local,
    reach=reach,
    rounds=lambda weights, **_: weights == "gaussian",
    working_set=0.0,
    scratch=18.0,
    equals=(
        "(image > (numpy.apply_over_axes("
        "lambda sums, axis: scipy.ndimage.correlate1d(sums, numpy.ones(size), axis), "
        "image.astype(float), range(image.ndim)) / size**image.ndim - offset if weights == 'mean' "
        "else skimage.filters.threshold_local(image, size, weights, offset))) == (foreground == 'bright')"
    ),
    examples=(
        Example("coins_2d.ome.zarr", {"size": 35}),
        Example("coins_2d.ome.zarr", {"weights": "median", "size": 21, "offset": -5.0}),
        Example("cells_zyx_v04.ome.zarr", {"weights": "mean", "size": 9, "foreground": "dark"}),
    ),
)
