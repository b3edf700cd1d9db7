"""The demo's image: a real micrograph that scikit-image carries in its package, as a TIFF of two channels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["CHANNELS", "CREDIT", "make_tiff", "photograph"]

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


def make_tiff(path: Path) -> tuple[int, ...]:
    """Separate the two stains, and write them as an OME-TIFF, as a microscope's program would.

    tifffile writes it, so that chunkwise reads what another program made.

    Parameters
    ----------
    path : Path
        Of the new file.

    Returns
    -------
    tuple of int
        Its shape: c, y, x.
    """
    import tifffile
    from skimage.color import rgb2hed

    stains = rgb2hed(photograph())[..., [0, 2]]
    pixels = np.moveaxis(np.round(stains * STEPS), -1, 0).astype(np.uint16)
    # OME-XML has red, green, blue and opacity as one signed number of 32 bits.
    colors = [int.from_bytes(bytes.fromhex(f"{color}FF"), signed=True) for _, color, _ in CHANNELS]
    names = [name for name, _, _ in CHANNELS]
    about = {"axes": "CYX", "Name": "colon", "Channel": {"Name": names, "Color": colors}}
    tifffile.imwrite(path, pixels, ome=True, metadata=about, photometric="minisblack", compression="zlib")
    return tuple(pixels.shape)
