"""Gamma correction."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Image, Parameter


def gamma(image: Any, *, gamma: float) -> Any:
    """Raise the share of the type's largest value to a power; as in scikit-image, only 8 bits are rounded."""
    import numpy as np

    scale = float(np.iinfo(image.dtype).max)
    if image.dtype.itemsize == 1:
        return np.rint(scale * np.linspace(0, 1, 256) ** gamma).astype(image.dtype)[image]
    if image.dtype.itemsize == 2:
        values = np.arange(int(scale) + 1, dtype=image.dtype)
        return (((values / scale) ** gamma) * scale).astype(image.dtype)[image]
    found = ((image / scale) ** gamma) * scale
    ends = found >= scale  # of 64 bits, the float is one more than the type has
    found[ends] = 0
    made = found.astype(image.dtype)
    made[ends] = np.iinfo(image.dtype).max
    return made


OPERATION = of_image(
    name="gamma",
    family="intensity",
    title="Gamma correction",
    does="brightens (below 1) or darkens (above 1) mid-tones; 0 and the type's largest value stay",
    parameters={
        "gamma": Parameter(
            float,
            0.5,
            "Gamma",
            "exponent for intensities scaled to 0 to 1: below 1 brightens, above 1 darkens",
            least=0.01,
            most=100,
        )
    },
    takes={"image": Image("u")},
    gives=Image(dtype="same", contrast="new"),
    kernel=gamma,
    rounds=True,
    working_set=4.0,
    equals="skimage.exposure.adjust_gamma(image, gamma)",
    exact={"u": "bit"},
    examples=(Example("coins_2d.ome.zarr", {"gamma": 0.5}), Example("cells_zyx_v04.ome.zarr", {"gamma": 0.7})),
)
