"""What lies around objects."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import DISTANCE, PART, TAKES, reach
from chunkwise.operations.model import Example, Labels, Operation


def ring(image: Any, *, distance: float) -> Any:
    """Give the background around every object its number."""
    import numpy as np

    from chunkwise.ops.expand import expand

    return np.where(image == 0, expand(image, distance), 0)


OPERATION = Operation(
    name="ring",
    family="label",
    title="Ring around objects",
    does="makes a ring around every object, with its number and without the object: the cytoplasm around a nucleus",
    part=PART,
    parameters={"distance": DISTANCE},
    takes=TAKES,
    gives=Labels(),
    kernel=ring,
    reach=reach,
    working_set=36.0,
    equals="numpy.where(image == 0, skimage.segmentation.expand_labels(image, distance), 0)",
    exact={"iu": "bit"},
    examples=(Example("coins_2d_labels.ome.zarr", {"distance": 5.0}),),
)
