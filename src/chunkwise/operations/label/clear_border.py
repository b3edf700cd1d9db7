"""Objects that are whole."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import by_object, keep
from chunkwise.operations.model import Example


def clear_border(image: Any, *, objects: Any) -> Any:
    """Leave objects that do not touch the border of the volume."""
    return keep(image, objects, lambda rows: ~objects["at_border"][rows])


OPERATION = by_object(
    name="clear-border",
    title="Removal of objects at the border",
    does="removes objects that touch the border of the image, or of the region, because part of them may be missing",
    kernel=clear_border,
    equals=(
        "numpy.where(numpy.isin(image, image[numpy.where(numpy.array(image.shape) > 1, numpy.minimum(numpy.indices("
        "image.shape).T, numpy.array(image.shape) - 1 - numpy.indices(image.shape).T), 1).min(axis=-1).T == 0]), 0, "
        "image)"
    ),
    examples=(Example("coins_2d_labels.ome.zarr"),),
)
