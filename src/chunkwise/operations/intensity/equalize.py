"""Equalisation by the histogram of the whole volume."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.intensity._range import BINS, DTYPE, EQUALIZED, in_type
from chunkwise.operations.model import Example, Image


def equalize(image: Any, *, shares: Any, dtype: str, **_: Any) -> Any:
    """Give every voxel the share of voxels that are no brighter; see :mod:`chunkwise.ops.equalize`."""
    return in_type(shares.equalized(image), dtype)


OPERATION = of_image(
    name="equalize",
    family="intensity",
    title="Histogram equalisation",
    does="makes all intensities about as frequent: each becomes the share of the volume's voxels that are no brighter",
    parameters={"bins": BINS, "dtype": DTYPE},
    gives=Image(dtype=lambda _, dtype, **__: dtype, contrast="new"),
    kernel=equalize,
    needs={"shares": "shares"},
    working_set=0.0,
    scratch=18.0,
    equals=EQUALIZED.format("skimage.exposure.equalize_hist(image, bins)"),
    examples=(
        Example("coins_2d.ome.zarr", {"dtype": "uint16"}),
        Example("cells_zyx_v04.ome.zarr"),
    ),
)
