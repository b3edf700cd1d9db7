"""Colours: red, green and blue, which become stains, grey, or other axes of colour, as in scikit-image.

Channels are the first axis. Sums over channels are taken in a fixed order, and not by a matrix product as scikit-image
does: BLAS rounds differently from one width of a block to the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from chunkwise.errors import VoxelsError

__all__ = ["STAINS", "deconvolved", "grey", "hsv", "lab"]

Array = np.ndarray[Any, Any]

#: What scikit-image's matrices are for; where there are two stains, the third channel is what is left of the colour.
STAINS: Final = {
    "hed": ("haematoxylin", "eosin", "DAB"),
    "hdx": ("haematoxylin", "DAB", "residual"),
    "fgx": ("Feulgen", "light green", "residual"),
    "bex": ("methyl blue", "eosin", "residual"),
    "rbd": ("fast red", "fast blue", "DAB"),
    "gdx": ("methyl green", "DAB", "residual"),
    "hax": ("haematoxylin", "AEC", "residual"),
    "bro": ("aniline blue", "azocarmine", "orange G"),
    "bpx": ("methyl blue", "ponceau fuchsin", "residual"),
    "ahx": ("alcian blue", "haematoxylin", "residual"),
    "hpx": ("haematoxylin", "PAS", "residual"),
}

#: Voxels that are gone over together: what is held in between is small, and stays in the processor's cache.
AT_ONCE: Final = 2**15


def deconvolved(image: Array, *, stains: str, dtype: str) -> Array:
    """``separate_stains(image, matrix, channel_axis=0)``."""
    from skimage import color

    matrix = getattr(color, f"{stains}_from_rgb")

    def separate(part: Array) -> list[Array]:
        densities = np.log(np.maximum(_fractions(part), 1e-6)) / np.log(1e-6)
        return [np.maximum(_sum(densities, matrix[:, n]), 0) for n in range(3)]

    return _in_parts(image, separate, 3, dtype)


def grey(image: Array, *, dtype: str) -> Array:
    """``rgb2gray(image, channel_axis=0)``, as one channel."""
    return _in_parts(image, lambda part: [_sum(_fractions(part), (0.2125, 0.7154, 0.0721))], 1, dtype)


def hsv(image: Array, *, dtype: str) -> Array:
    """``rgb2hsv(image, channel_axis=0)``; no sums are in it, so that it is done as it is."""
    from skimage import color

    def turn(part: Array) -> Array:
        _fractions(part)
        found: Array = color.rgb2hsv(part, channel_axis=0)
        return found

    return _in_parts(image, turn, 3, dtype)


def lab(image: Array, *, dtype: str) -> Array:
    """``rgb2lab(image, channel_axis=0)``: by way of XYZ, for D65 and the observer of 2 degrees."""
    from skimage.color.colorconv import xyz2lab, xyz_from_rgb

    def turn(part: Array) -> Array:
        rgb = _fractions(part)
        linear = np.where(rgb > 0.04045, np.power((rgb + 0.055) / 1.055, 2.4), rgb / 12.92)
        xyz = np.stack([_sum(linear, row) for row in xyz_from_rgb])
        found: Array = xyz2lab(xyz, channel_axis=0)
        return found

    return _in_parts(image, turn, 3, dtype)


def _sum(planes: Array, weights: Sequence[float]) -> Array:
    """The weighted sum of three planes."""
    found: Array = planes[0] * weights[0] + planes[1] * weights[1] + planes[2] * weights[2]
    return found


def _fractions(part: Array) -> Array:
    """Intensities from 0 to 1, as scikit-image has them: integers are parts of what their type holds."""
    if part.dtype.kind != "f":
        return part / np.float64(np.iinfo(part.dtype).max)
    if not (part.min() >= 0 and part.max() <= 1):
        raise VoxelsError(
            "Colours that are floats have to be numbers from 0 to 1, and some are not; rescale them with 'chunkwise "
            "intensity --method window'."
        )
    return part.astype(np.float64)


def _in_parts(image: Array, make: Callable[[Array], Any], channels: int, dtype: str) -> Array:
    """Go over voxels, some at once, whatever the axes."""
    flat = image.reshape(3, -1)
    out = np.empty((channels, flat.shape[1]), dtype)
    for start in range(0, flat.shape[1], AT_ONCE):
        part = slice(start, start + AT_ONCE)
        for place, made in enumerate(make(flat[:, part])):
            out[place, part] = made
    return out.reshape(channels, *image.shape[1:])
