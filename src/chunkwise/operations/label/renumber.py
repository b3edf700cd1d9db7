"""Objects without gaps in their numbers."""

from __future__ import annotations

from typing import Any

from chunkwise.errors import VoxelsError
from chunkwise.operations.label._labels import by_object, numbered
from chunkwise.operations.model import Example


def renumber(image: Any, *, objects: Any) -> Any:
    """Number objects from 1 on, in the order of the numbers that they have."""
    import numpy as np

    count, most = len(objects["ids"]), np.iinfo(image.dtype).max
    if count > most:  # some of them are below 0
        raise VoxelsError(f"There are {count} objects, and {image.dtype} holds no number above {most}.")
    return numbered(image, objects, lambda _, rows: rows + 1)


OPERATION = by_object(
    name="renumber",
    title="Renumbering of objects",
    does="numbers the objects 1, 2, 3, ... without gaps, in the order of the numbers that they have",
    kernel=renumber,
    equals=(
        "numpy.where(image != 0, numpy.searchsorted(numpy.unique(image[image != 0]), image) + 1, 0).astype(image.dtype)"
    ),
    examples=(Example("coins_2d_labels.ome.zarr"),),
)
