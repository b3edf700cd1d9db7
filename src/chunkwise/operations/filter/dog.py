"""Difference of Gaussians."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chunkwise.operations._part import in_both
from chunkwise.operations.filter._floats import FLOATS, floats, in_floats
from chunkwise.operations.filter.gaussian import SIGMA
from chunkwise.operations.filter.gaussian import reach as reach_of_one


def dog(image: Any, *, sigma: float | tuple[float, ...], high_sigma: float | tuple[float, ...]) -> Any:
    """Smooth a little, and take away what is smoothed more."""
    from chunkwise.ops.gaussian import gaussian

    found = in_floats(image)
    return gaussian(found, sigma) - gaussian(found, high_sigma)


def reach(high_sigma: float | tuple[float, ...], **_: Any) -> int | tuple[int, ...]:
    """How far the wider one goes."""
    return reach_of_one(high_sigma)


def refuses(sigma: float, high_sigma: float) -> str:
    """Refuse two that are in the wrong order."""
    return "" if sigma < high_sigma else f"--sigma {sigma:g} has to be smaller than --high-sigma {high_sigma:g}."


OPERATION = floats(
    name="dog",
    title="Difference of Gaussians",
    does="keeps structures between two sizes, such as spots on an uneven background; gives floats",
    kernel=dog,
    equals=f"scipy.ndimage.gaussian_filter({FLOATS}, sigma) - scipy.ndimage.gaussian_filter({FLOATS}, high_sigma)",
    examples=in_both(sigma=1.0, high_sigma=1.6),
    parameters={
        "sigma": SIGMA,
        "high_sigma": replace(
            SIGMA, default=1.6, label="Larger sigma", help="standard deviation of the Gaussian that is subtracted"
        ),
    },
    refuses=refuses,
    reach=reach,
    rounds=True,
)
