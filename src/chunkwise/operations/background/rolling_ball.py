"""The ball that rolls below the image."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.background._ball import by_ball
from chunkwise.operations.morphology._footprint import DIFFERENCE


def rolling_ball(image: Any, *, radius: int) -> Any:
    """Subtract what a ball touches from below; see :mod:`chunkwise.ops.rolling_ball`."""
    from chunkwise.ops.morphology import difference
    from chunkwise.ops.rolling_ball import rolling_ball

    return difference(image, rolling_ball(image, radius))


OPERATION = by_ball(
    name="rolling-ball",
    title="Rolling ball",
    does="subtracts the surface that a ball touches as it rolls along the underside of the intensities",
    kernel=rolling_ball,
    equals=f"{DIFFERENCE}(image, skimage.restoration.rolling_ball(image, radius=radius))",
    working_set=0.0,
    scratch=13.0,
)
