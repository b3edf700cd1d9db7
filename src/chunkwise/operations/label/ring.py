"""What lies around objects."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import growing
from chunkwise.operations.model import Example


def ring(image: Any, *, distance: float) -> Any:
    """Give the background around every object its number."""
    import numpy as np

    from chunkwise.ops.expand import expand

    return np.where(image == 0, expand(image, distance), 0)


OPERATION = growing(
    name="ring",
    title="Ring around objects",
    does="makes a ring around every object, with its number and without the object: the cytoplasm around a nucleus",
    kernel=ring,
    equals="numpy.where(image == 0, skimage.segmentation.expand_labels(image, distance), 0)",
    examples=(Example("coins_2d_labels.ome.zarr", {"distance": 5.0}),),
)
