"""The demo's image: a real micrograph that scikit-image carries in its package, as an OME-Zarr of two channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CHANNELS", "CREDIT", "make_store", "photograph"]

Array = np.ndarray[Any, Any]

#: Name, colour on a screen, and white point of each channel.
CHANNELS = (("hematoxylin", "6AA8FF", 3200), ("DAB", "FFA040", 9000))

CREDIT = (
    "Colonic glands, FHL2 protein revealed with DAB (brown), nuclei counterstained with hematoxylin (blue). Acquired "
    "at the Center for Microscopy and Molecular Imaging (CMMI); no known copyright restrictions. It is part of "
    "scikit-image (skimage.data.immunohistochemistry), which does not state the size of a pixel."
)

#: scikit-image's stain amounts reach 1.5; times this they use most of 16 bits.
STEPS = 40_000


def photograph() -> Array:
    """Return the micrograph, uint8 of shape (y, x, 3)."""
    from skimage import data

    pictures: Any = data  # untyped
    return np.asarray(pictures.immunohistochemistry())


def make_store(path: Path, chunk: int = 64, shard: int = 256) -> tuple[int, ...]:
    """Separate the two stains, and write them as an OME-Zarr 0.5 of two levels.

    zarr-python writes it, so that chunkwise reads what another program made.

    Parameters
    ----------
    path : Path
        Of the new store.
    chunk, shard : int
        Pixels along y and x.

    Returns
    -------
    tuple of int
        Shape of the full resolution: c, y, x.
    """
    import zarr
    from skimage.color import rgb2hed
    from zarr.codecs import ZstdCodec

    stains = rgb2hed(photograph())[..., [0, 2]]
    pixels = np.moveaxis(np.round(stains * STEPS), -1, 0).astype(np.uint16)
    half = pixels.reshape(2, pixels.shape[1] // 2, 2, pixels.shape[2] // 2, 2).mean(axis=(2, 4)).round()
    group = zarr.open_group(str(path), mode="w-", zarr_format=3)
    for name, level in (("0", pixels), ("1", half.astype(np.uint16))):
        array = group.create_array(
            name,
            shape=level.shape,
            dtype=level.dtype,
            chunks=(1, chunk, chunk),
            shards=(1, shard, shard),
            dimension_names=("c", "y", "x"),
            compressors=ZstdCodec(level=3),
        )
        array[...] = level
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "name": "colon",
                "axes": [
                    {"name": "c", "type": "channel"},
                    {"name": "y", "type": "space"},
                    {"name": "x", "type": "space"},
                ],
                "datasets": [
                    {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]},
                    {
                        "path": "1",
                        "coordinateTransformations": [
                            {"type": "scale", "scale": [1.0, 2.0, 2.0]},
                            {"type": "translation", "translation": [0.0, 0.5, 0.5]},
                        ],
                    },
                ],
                "type": "mean",
                "metadata": {"description": "the mean of 2 x 2 pixels of the level before"},
            }
        ],
        "omero": {
            "channels": [
                {
                    "label": name,
                    "color": color,
                    "active": True,
                    "window": {"start": 0, "end": white, "min": 0, "max": 65535},
                }
                for name, color, white in CHANNELS
            ]
        },
    }
    return tuple(pixels.shape)
