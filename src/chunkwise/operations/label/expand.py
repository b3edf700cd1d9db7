"""Objects that grow."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import growing
from chunkwise.operations.model import Example


def expand(image: Any, *, distance: float) -> Any:
    """Give every background voxel the nearest object, if that is near enough: :func:`chunkwise.ops.expand.expand`."""
    from chunkwise.ops.expand import expand

    return expand(image, distance)


OPERATION = growing(
    name="expand",
    title="Expansion of objects",
    does="grows every object into the background by a distance, and no object into another",
    kernel=expand,
    equals="skimage.segmentation.expand_labels(image, distance)",
    examples=(Example("coins_2d_labels.ome.zarr", {"distance": 5.0}),),
)
