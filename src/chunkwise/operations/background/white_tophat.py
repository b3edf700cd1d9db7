"""White top-hat by a ball."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.background._ball import RADIUS, background, examples
from chunkwise.operations.morphology._footprint import BALL as SHAPE
from chunkwise.operations.morphology._footprint import DIFFERENCE, twice


def white_tophat(image: Any, *, radius: int) -> Any:
    """Subtract; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import difference, opening

    return difference(image, opening(image, radius, "ball"))


OPERATION = background(
    "white-tophat",
    "White top-hat",
    "keeps bright structures narrower than the ball: the image minus its opening",
    white_tophat,
    f"{DIFFERENCE}(image, skimage.morphology.opening(image, {SHAPE}))",
    examples("radius", 35),
    parameters={"radius": RADIUS},
    reach=twice,
    working_set=4.0,
)
