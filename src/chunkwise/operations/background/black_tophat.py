"""Black top-hat by a ball."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.background._ball import by_ball
from chunkwise.operations.morphology._footprint import BALL as SHAPE
from chunkwise.operations.morphology._footprint import DIFFERENCE, twice


def black_tophat(image: Any, *, radius: int) -> Any:
    """Subtract; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import closing, difference

    return difference(closing(image, radius, "ball"), image)


OPERATION = by_ball(
    name="black-tophat",
    title="Black top-hat",
    does="shows dark structures narrower than the ball as bright: the closing minus the image",
    kernel=black_tophat,
    equals=f"{DIFFERENCE}(skimage.morphology.closing(image, {SHAPE}), image)",
    reach=twice,
    working_set=4.0,
)
