"""The ball that rolls below the image."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.background._ball import RADIUS, background, examples
from chunkwise.operations.morphology._footprint import DIFFERENCE, once


def rolling_ball(image: Any, *, radius: int) -> Any:
    """Subtract what a ball touches from below; see :mod:`chunkwise.ops.rolling_ball`."""
    from chunkwise.ops.morphology import difference
    from chunkwise.ops.rolling_ball import rolling_ball

    return difference(image, rolling_ball(image, radius))


OPERATION = background(
    "rolling-ball",
    "Rolling ball",
    "subtracts the surface that a ball touches as it rolls along the underside of the intensities",
    rolling_ball,
    f"{DIFFERENCE}(image, skimage.restoration.rolling_ball(image, radius=radius))",
    examples("radius", 35),
    parameters={"radius": RADIUS},
    reach=once,
    working_set=0.0,
    scratch=13.0,
)
