"""Hue, saturation and value."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.channels._colours import conversion


def hsv(image: Any, *, dtype: str) -> Any:
    """Turn colours; see :mod:`chunkwise.ops.colour`."""
    from chunkwise.ops import colour

    return colour.hsv(image, dtype=dtype)


OPERATION = conversion(
    "hsv",
    "Conversion to HSV",
    "turns red, green and blue into hue, saturation and value, each from 0 to 1",
    kernel=hsv,
    channels=lambda **_: dict.fromkeys(("hue", "saturation", "value")),
    equals="skimage.color.rgb2hsv(image, channel_axis=0)",
    exact={"uf": "bit"},
)
