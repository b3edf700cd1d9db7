"""The Gaussian filter."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Operation, Parameter


def gaussian(image: Any, *, sigma: float) -> Any:
    """Smooth with a Gaussian; see :mod:`chunkwise.ops.gaussian`."""
    from chunkwise.ops.gaussian import gaussian

    return gaussian(image, sigma)


OPERATION = Operation(
    name="gaussian",
    family="filter",
    title="Gaussian filter",
    does="smooths with a Gaussian, which takes noise away and keeps broad shapes",
    part=PART,
    parameters={
        "sigma": Parameter(
            float, 1.0, "Sigma", "standard deviation of the Gaussian, in voxels", unit="voxel", least=0, most=1000
        )
    },
    takes={"image": Image("iuf")},
    gives=Image(dtype="same", downsampling="mean"),
    kernel=gaussian,
    reach=lambda sigma: int(4.0 * sigma + 0.5),
    rate=0.023,
    working_set=1.0,
    equals="scipy.ndimage.gaussian_filter(image, sigma)",
    exact={"iuf": "bit"},
    examples=(
        Example("coins_2d.ome.zarr", {"sigma": 2.0}),
        Example("cells_zyx_v04.ome.zarr", {"sigma": 1.0}),
        Example("cells_tczyx.ome.zarr", {"sigma": 1.5}, {"channel": ["GFP"], "time": "1", "planes": True}),
    ),
)
