"""Equalisation by the histogram of the whole volume."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import PART
from chunkwise.operations.intensity._range import BINS, DTYPE, EQUALIZED, in_type
from chunkwise.operations.model import Example, Image, Operation


def equalize(image: Any, *, shares: Any, dtype: str, **_: Any) -> Any:
    """Give every voxel the share of voxels that are no brighter; see :mod:`chunkwise.ops.equalize`."""
    return in_type(shares.equalized(image), dtype)


OPERATION = Operation(
    name="equalize",
    family="intensity",
    title="Histogram equalisation",
    does="makes all intensities about as frequent: each becomes the share of the volume's voxels that are no brighter",
    part=PART,
    parameters={"bins": BINS, "dtype": DTYPE},
    takes={"image": Image("iuf")},
    gives=Image(dtype=lambda _, dtype, **__: dtype, contrast="new"),
    kernel=equalize,
    needs={"shares": "shares"},
    reach=lambda **_: 0,
    working_set=0.0,
    scratch=18.0,
    equals=EQUALIZED.format("skimage.exposure.equalize_hist(image, bins)"),
    exact={"iuf": "bit"},
    examples=(
        Example("coins_2d.ome.zarr", {"dtype": "uint16"}),
        Example("cells_zyx_v04.ome.zarr"),
    ),
)
