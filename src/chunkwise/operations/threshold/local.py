"""A threshold for every voxel, from its neighbourhood."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Mask, Operation, Parameter
from chunkwise.operations.threshold._foreground import FOREGROUND, compare


def local(image: Any, *, weights: str, size: int, offset: float, foreground: str) -> Any:
    """Compare every voxel with what is around it, in the precision in which scikit-image does."""
    import numpy as np
    from scipy.ndimage import correlate1d

    from chunkwise.ops.gaussian import gaussian
    from chunkwise.ops.median import median

    floats = image.dtype if image.dtype.kind == "f" else np.float64
    if weights == "gaussian":
        around = gaussian(image.astype(floats), (size - 1) / 6)
    elif weights == "median":
        around = median(image, size).astype(floats)  # the same as of floats, which take longer to order
    else:
        around = image.astype(np.float64)
        for axis in range(image.ndim):
            # Running sums, as in uniform_filter, would be rounded differently in every block.
            around = correlate1d(around, np.ones(size), axis)
        around /= size**image.ndim
    around -= offset
    return compare(image, around, foreground)


def reach(weights: str, size: int, **_: Any) -> int:
    """How far the neighbourhood counts: a Gaussian ends at four standard deviations, beyond the box."""
    return int(4.0 * ((size - 1) / 6) + 0.5) if weights == "gaussian" else size // 2


OPERATION = Operation(
    name="local",
    family="threshold",
    title="Local threshold",
    does="compares every voxel with the mean or median around it, for images with uneven light",
    part=PART,
    parameters={
        "weights": Parameter(
            str,
            "gaussian",
            "Threshold from",
            "what the threshold is: the mean around a voxel, near ones weighing more (gaussian) or all the same "
            "(mean), or the median",
            choices=("gaussian", "mean", "median"),
        ),
        "size": Parameter(
            int,
            35,
            "Size",
            "edge of the neighbourhood, a box around the voxel",
            unit="voxel",
            least=3,
            most=255,
            odd=True,
        ),
        "offset": Parameter(float, 0.0, "Offset", "taken off the mean or median; more than 0 makes more voxels bright"),
        "foreground": FOREGROUND,
    },
    takes={"image": Image("iuf")},
    gives=Mask(),
    kernel=local,
    reach=reach,
    rate=0.053,
    working_set=18.0,
    equals=(
        "(image > (numpy.apply_over_axes("
        "lambda sums, axis: scipy.ndimage.correlate1d(sums, numpy.ones(size), axis), "
        "image.astype(float), range(image.ndim)) / size**image.ndim - offset if weights == 'mean' "
        "else skimage.filters.threshold_local(image, size, weights, offset))) == (foreground == 'bright')"
    ),
    exact={"iuf": "bit"},
    examples=(
        Example("coins_2d.ome.zarr", {"size": 35}),
        Example("coins_2d.ome.zarr", {"weights": "median", "size": 21, "offset": -5.0}),
        Example("cells_zyx_v04.ome.zarr", {"weights": "mean", "size": 9, "foreground": "dark"}),
    ),
)
