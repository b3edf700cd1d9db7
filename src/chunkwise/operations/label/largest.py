"""The largest objects."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import by_object, keep
from chunkwise.operations.model import Example, Parameter


def largest(image: Any, *, objects: Any, count: int) -> Any:
    """Leave the largest objects."""
    return keep(image, objects, lambda rows: objects["ranks"][rows] < count)


OPERATION = by_object(
    name="largest",
    title="Selection of the largest objects",
    does="removes all objects but the largest; among equals, the lowest numbers stay",
    parameters={"count": Parameter(int, 1, "How many", "how many of the largest objects are kept", least=1)},
    kernel=largest,
    equals=(
        "numpy.where(numpy.isin(image, numpy.unique(image[image != 0])[numpy.argsort("
        "-numpy.unique(image[image != 0], return_counts=True)[1], kind='stable')[:count]]), image, 0)"
    ),
    examples=(Example("coins_2d_labels.ome.zarr", {"count": 5}),),
)
