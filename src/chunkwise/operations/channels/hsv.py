"""Hue, saturation and value."""

from functools import partial

from chunkwise.operations.channels._colours import conversion, turned

OPERATION = conversion(
    name="hsv",
    title="Conversion to HSV",
    does="turns red, green and blue into hue, saturation and value, each from 0 to 1",
    kernel=partial(turned, "hsv"),
    channels=lambda **_: dict.fromkeys(("hue", "saturation", "value")),
    equals="skimage.color.rgb2hsv(image, channel_axis=0).astype(dtype)",
    exact={"uf": "bit"},
)
