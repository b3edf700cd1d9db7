"""Brightness of colours."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.channels._colours import conversion


def grey(image: Any, *, dtype: str) -> Any:
    """Weigh red, green and blue; see :mod:`chunkwise.ops.colour`."""
    from chunkwise.ops import colour

    return colour.grey(image, dtype=dtype)


OPERATION = conversion(
    "grey",
    "Conversion to grey",
    "makes one channel of red, green and blue: their brightness to the eye, from 0 to 1",
    kernel=grey,
    channels=lambda **_: {"grey": None},
    equals="skimage.color.rgb2gray(image, channel_axis=0)",
    exact={"uf": "rtol 1e-6"},
)
