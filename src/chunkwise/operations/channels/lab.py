"""Lightness, and two axes of colour in which distances are as people see them."""

from functools import partial

from chunkwise.operations.channels._colours import conversion, turned

OPERATION = conversion(
    name="lab",
    title="Conversion to Lab",
    does="turns red, green and blue into CIE Lab: L* from 0 to 100, a* from green to red, b* from blue to yellow",
    kernel=partial(turned, "lab"),
    rounds=True,
    channels=lambda **_: {"L*": (0.0, 100.0), "a*": (-128.0, 127.0), "b*": (-128.0, 127.0)},
    equals="skimage.color.rgb2lab(image, channel_axis=0).astype(dtype)",
    exact={"u": "rtol 1e-6", "f": "rtol 1e-5"},
)
