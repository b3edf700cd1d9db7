"""White top-hat by a ball."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.background._ball import by_ball
from chunkwise.operations.morphology._footprint import BALL as SHAPE
from chunkwise.operations.morphology._footprint import DIFFERENCE, twice


def white_tophat(image: Any, *, radius: int) -> Any:
    """Subtract; see :mod:`chunkwise.ops.morphology`."""
    from chunkwise.ops.morphology import difference, opening

    return difference(image, opening(image, radius, "ball"))


OPERATION = by_ball(
    name="white-tophat",
    title="White top-hat",
    does="keeps bright structures narrower than the ball: the image minus its opening",
    kernel=white_tophat,
    equals=f"{DIFFERENCE}(image, skimage.morphology.opening(image, {SHAPE}))",
    reach=twice,
    working_set=4.0,
)
