"""Brightness of colours."""

from functools import partial

from chunkwise.operations.channels._colours import conversion, turned

OPERATION = conversion(
    name="grey",
    title="Conversion to grey",
    does="makes one channel of red, green and blue: their brightness to the eye, from 0 to 1",
    kernel=partial(turned, "grey"),
    channels=lambda **_: {"grey": None},
    equals="skimage.color.rgb2gray(image, channel_axis=0).astype(dtype)",
    exact={"uf": "rtol 1e-6"},
)
