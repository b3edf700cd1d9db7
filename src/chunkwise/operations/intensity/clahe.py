"""Equalisation by tiles (CLAHE)."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.intensity._range import BINS, DTYPE, EQUALIZED
from chunkwise.operations.model import Example, Image, Parameter


def clahe(image: Any, *, tiles: Any, corner: tuple[int, ...], dtype: str, **_: Any) -> Any:
    """Give every voxel what lies between the histograms around it; see :mod:`chunkwise.ops.clahe`."""
    return tiles.spread(image, corner, dtype)


def scratch(kernel_size: int | tuple[int, ...] | None, bins: int, **_: Any) -> float:
    """Levels and bins; and of tiles that are small the counts, which take more than the voxels."""
    smallest = min(kernel_size[-2:]) if isinstance(kernel_size, tuple) else kernel_size or 64
    return 16.0 + 8.0 * bins / smallest**2


OPERATION = of_image(
    name="clahe",
    family="intensity",
    title="Local equalisation (CLAHE)",
    does="brings out contrast everywhere: equalises the histogram around each voxel, up to a limit",
    parameters={
        "kernel_size": Parameter(
            int,
            None,
            "Size of the tiles",
            "edge of the tiles whose histograms are equalised",
            unit="voxel",
            measures="radius",
            least=1,
            most=65535,
            default_words="an eighth of the image along each axis",
        ),
        "clip_limit": Parameter(
            float,
            0.01,
            "Limit of the contrast",
            "largest share of a tile's voxels that may count as of one intensity; more gives more contrast, and noise",
            least=0,
            most=1,
        ),
        "bins": BINS,
        "dtype": DTYPE,
    },
    gives=Image(dtype=lambda _, dtype, **__: dtype, contrast="new"),
    kernel=clahe,
    needs={"tiles": "tiles"},
    places=True,
    working_set=0.0,
    scratch=scratch,
    equals=EQUALIZED.format("skimage.exposure.equalize_adapthist(image, kernel_size, clip_limit, bins)"),
    examples=(
        Example("coins_2d.ome.zarr", {"kernel_size": 12, "dtype": "uint16"}),
        Example("cells_zyx_v04.ome.zarr", {"clip_limit": 0.02}),
    ),
)
