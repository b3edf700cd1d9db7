"""The Gaussian filter."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Parameter


def gaussian(image: Any, *, sigma: float | tuple[float, ...]) -> Any:
    """Smooth with a Gaussian; see :mod:`chunkwise.ops.gaussian`."""
    from chunkwise.ops.gaussian import gaussian

    return gaussian(image, sigma)


def reach(sigma: float | tuple[float, ...], **_: Any) -> int | tuple[int, ...]:
    """How far the kernel goes: four standard deviations along each axis."""
    return tuple(int(4.0 * one + 0.5) for one in sigma) if isinstance(sigma, tuple) else int(4.0 * sigma + 0.5)


SIGMA = Parameter(
    float,
    1.0,
    "Smoothing (sigma)",
    "standard deviation of the Gaussian",
    unit="voxel",
    measures="length",
    least=0,
    most=1000,
)


def some(sigma: float, **_: Any) -> str:
    """Refuse to differentiate without smoothing."""
    return "" if sigma > 0 else "--sigma has to be larger than 0 for this method."


OPERATION = of_image(
    name="gaussian",
    family="filter",
    title="Gaussian filter",
    does="smooths with a Gaussian, which removes noise and keeps broad shapes",
    parameters={"sigma": SIGMA},
    kernel=gaussian,
    reach=reach,
    rounds=True,
    equals="scipy.ndimage.gaussian_filter(image, sigma)",
    examples=(
        Example("coins_2d.ome.zarr", {"sigma": 2.0}),
        Example("cells_zyx_v04.ome.zarr", {"sigma": 1.0}),
        Example("cells_tczyx.ome.zarr", {"sigma": 1.5}, {"channel": ["GFP"], "time": "1", "planes": True}),
    ),
)
