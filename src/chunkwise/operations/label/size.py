"""Objects of some sizes."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import by_object, keep
from chunkwise.operations.model import Example, Parameter


def size(image: Any, *, objects: Any, min_size: int, max_size: int | None) -> Any:
    """Leave objects that are neither too small nor too large."""
    most = float("inf") if max_size is None else max_size
    return keep(image, objects, lambda rows: (objects["sizes"][rows] >= min_size) & (objects["sizes"][rows] <= most))


def refuses(min_size: int, max_size: int | None) -> str:
    """Refuse a range that ends before it begins."""
    if max_size is None or min_size <= max_size:
        return ""
    return f"--min-size {min_size} is larger than --max-size {max_size}, so no object would be left."


OPERATION = by_object(
    name="size",
    title="Selection by size",
    does="removes objects that are smaller or larger than asked for; the others keep their numbers",
    parameters={
        "min_size": Parameter(int, 0, "Minimum size", "objects of fewer voxels are removed", unit="voxel", least=0),
        "max_size": Parameter(
            int,
            None,
            "Maximum size",
            "objects of more voxels are removed",
            unit="voxel",
            least=0,
            default_words="no limit",
        ),
    },
    refuses=refuses,
    kernel=size,
    equals=(
        "numpy.where(numpy.isin(image, numpy.unique(image)[(numpy.unique(image, return_counts=True)[1] >= min_size) & "
        "(numpy.unique(image, return_counts=True)[1] <= (image.size if max_size is None else max_size))]), image, 0)"
    ),
    examples=(Example("coins_2d_labels.ome.zarr", {"min_size": 1300, "max_size": 2500}),),
)
