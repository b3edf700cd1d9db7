"""Objects that are whole."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import PART, TAKES, keep
from chunkwise.operations.model import Example, Labels, Operation


def clear_border(image: Any, *, objects: Any) -> Any:
    """Leave objects that do not touch the border of the volume."""
    return keep(image, objects, lambda rows: ~objects["at_border"][rows])


OPERATION = Operation(
    name="clear-border",
    family="label",
    title="Removal of objects at the border",
    does="removes objects that touch the border of the image, or of the region, because part of them may be missing",
    part=PART,
    takes=TAKES,
    gives=Labels(),
    kernel=clear_border,
    needs={"objects": "objects"},
    working_set=20.0,
    equals=(
        "numpy.where(numpy.isin(image, image[numpy.where(numpy.array(image.shape) > 1, numpy.minimum(numpy.indices("
        "image.shape).T, numpy.array(image.shape) - 1 - numpy.indices(image.shape).T), 1).min(axis=-1).T == 0]), 0, "
        "image)"
    ),
    exact={"iu": "bit"},
    examples=(Example("coins_2d_labels.ome.zarr"),),
)
