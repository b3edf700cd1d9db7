"""Thresholds between several classes, of a whole volume."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Labels, Parameter


def multi_otsu(image: Any, *, thresholds: Any, **_: Any) -> Any:
    """Number every voxel by how many of the thresholds it reaches."""
    import numpy as np

    return np.digitize(image, thresholds).astype(np.uint8)


OPERATION = of_image(
    name="multi-otsu",
    family="threshold",
    title="Otsu thresholds of several classes (multi-Otsu)",
    does="numbers voxels by class, from 0 for the darkest, with the least variance within each; for images with more "
    "than two kinds of voxel",
    parameters={"classes": Parameter(int, 3, "Classes", "kinds of voxel that are told apart", least=2, most=5)},
    gives=Labels(dtype="uint8"),
    kernel=multi_otsu,
    needs={"thresholds": "classes"},
    working_set=0.0,
    scratch=16.0,
    equals="numpy.digitize(image, skimage.filters.threshold_multiotsu(image.reshape(1, -1), classes)).astype('uint8')",
    examples=(Example("coins_2d.ome.zarr"), Example("cells_zyx_v04.ome.zarr", {"classes": 2})),
)
