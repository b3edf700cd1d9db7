"""Thresholds from the mean and the standard deviation around every voxel."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Final

from chunkwise.operations._part import of_image
from chunkwise.operations.filter._size import reach
from chunkwise.operations.model import Example, Mask, Operation, Parameter
from chunkwise.operations.threshold._foreground import FOREGROUND, SIZE

K: Final = Parameter(float, 0.2, "k", "weight of the local deviation; more lowers the threshold", least=-1, most=1)

#: Mean and standard deviation, in the words of NumPy and SciPy; scikit-image keeps running sums.
_BOX: Final = (
    "(lambda voxels: numpy.apply_over_axes(lambda sums, axis: scipy.ndimage.correlate1d(sums, numpy.ones(size), axis, "
    "mode='mirror'), voxels, range(image.ndim)) / size**image.ndim)"
)
_DEVIATION: Final = "numpy.sqrt(numpy.maximum({box}(image.astype(float) ** 2) - {box}(image.astype(float)) ** 2, 0))"


def mean_and_deviation(image: Any, size: int | tuple[int, ...]) -> tuple[Any, Any]:
    """Of a box around every voxel, which mirrors the image at its edge without the voxels there, as scikit-image."""
    import numpy as np
    from scipy.ndimage import correlate1d

    sizes = (size,) * image.ndim if isinstance(size, int) else size
    voxels = image.astype(np.float64)
    found = []
    for sums in (voxels, voxels**2):
        for axis, edge in enumerate(sizes):
            sums = correlate1d(sums, np.ones(edge), axis, mode="mirror")
        found.append(sums / prod(sizes))
    mean, squares = found
    return mean, np.sqrt(np.maximum(squares - mean**2, 0))


def by_spread(name: str, title: str, does: str, kernel: Callable[..., Any], formula: str) -> Operation:
    """Declare one; ``formula`` says the threshold of ``mean`` and ``deviation``."""
    deviation = _DEVIATION.format(box=_BOX)
    return of_image(
        name=name,
        family="threshold",
        title=title,
        does=does,
        parameters={"size": SIZE, "k": K, "foreground": FOREGROUND},
        gives=Mask(),
        kernel=kernel,
        reach=reach,
        working_set=0.0,
        scratch=48.0,
        equals=(
            f"(image > (lambda mean, deviation: {formula})({_BOX}(image.astype(float)), {deviation})) "
            "== (foreground == 'bright')"
        ),
        examples=(
            Example("coins_2d.ome.zarr", {"size": 15, "k": 0.2}),
            Example("cells_zyx_v04.ome.zarr", {"size": 5, "foreground": "dark"}),
        ),
    )
