"""Objects that grow."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import DISTANCE, PART, TAKES, reach
from chunkwise.operations.model import Example, Labels, Operation


def expand(image: Any, *, distance: float) -> Any:
    """Give every background voxel the nearest object, if that is near enough: :func:`chunkwise.ops.expand.expand`."""
    from chunkwise.ops.expand import expand

    return expand(image, distance)


OPERATION = Operation(
    name="expand",
    family="label",
    title="Expansion of objects",
    does="grows every object into the background by a distance, and no object into another",
    part=PART,
    parameters={"distance": DISTANCE},
    takes=TAKES,
    gives=Labels(),
    kernel=expand,
    reach=reach,
    working_set=36.0,
    equals="skimage.segmentation.expand_labels(image, distance)",
    exact={"iu": "bit"},
    examples=(Example("coins_2d_labels.ome.zarr", {"distance": 5.0}),),
)
