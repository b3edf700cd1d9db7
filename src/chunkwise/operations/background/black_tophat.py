"""Black top-hat by a ball."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.background._ball import RADIUS, background, examples
from chunkwise.operations.morphology._footprint import BALL as SHAPE
from chunkwise.operations.morphology._footprint import DIFFERENCE, twice


def black_tophat(image: Any, *, radius: int) -> Any:
    """Subtract; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import closing, difference

    return difference(closing(image, radius, "ball"), image)


OPERATION = background(
    "black-tophat",
    "Black top-hat",
    "shows dark structures narrower than the ball as bright: the closing minus the image",
    black_tophat,
    f"{DIFFERENCE}(skimage.morphology.closing(image, {SHAPE}), image)",
    examples("radius", 35),
    parameters={"radius": RADIUS},
    reach=twice,
    working_set=4.0,
)
