"""Lightness, and two axes of colour in which distances are as people see them."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.channels._colours import conversion


def lab(image: Any, *, dtype: str) -> Any:
    """Turn colours; see :mod:`chunkwise.ops.colour`."""
    from chunkwise.ops import colour

    return colour.lab(image, dtype=dtype)


OPERATION = conversion(
    "lab",
    "Conversion to Lab",
    "turns red, green and blue into CIE Lab: L* from 0 to 100, a* from green to red, b* from blue to yellow",
    kernel=lab,
    rounds=True,
    channels=lambda **_: {"L*": (0.0, 100.0), "a*": (-128.0, 127.0), "b*": (-128.0, 127.0)},
    equals="skimage.color.rgb2lab(image, channel_axis=0)",
    exact={"u": "rtol 1e-6", "f": "rtol 1e-5"},
)
