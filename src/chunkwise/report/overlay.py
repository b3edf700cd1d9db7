"""The picture that says at a glance whether a segmentation is any good."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import uniform_filter

from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.volumes import Selection
from chunkwise.report.pictures import drawn_large, write_png
from chunkwise.storage.arrays import open_array
from chunkwise.storage.location import Location

__all__ = ["write_overlay"]

#: Pixels of the picture's edge; larger planes show their fullest window at full resolution.
EDGE = 1024


def write_overlay(path: str, selection: Selection, labels: Location, output: OutputImage) -> None:
    """Draw the outlines of the objects on the image, where most of them are; tiny images are enlarged.

    Of a stack, the plane with most foreground is shown; of a large plane, the window with most.
    Where to look is decided on the coarsest level, so that little is read.

    Parameters
    ----------
    path : str
        Of the PNG file.
    selection : Selection
        What was segmented.
    labels : Location
        The finished label image.
    output : OutputImage
        Its layout.
    """
    coarse_level = output.n_levels - 1
    shape, coarse_shape = output.volume_shape(0), output.volume_shape(coarse_level)
    whole = output.place_box(0, tuple(slice(0, n) for n in coarse_shape))
    coarse = open_array(labels.child(str(coarse_level))).read(whole).reshape(coarse_shape) > 0
    stack = coarse if coarse.ndim == 3 else coarse[np.newaxis]
    plane = int(np.argmax(stack.sum(axis=(1, 2))))
    window = []
    edges = [min(EDGE, n) for n in shape[-2:]]
    density = uniform_filter(
        stack[plane].astype(np.float32),
        [max(1, e * c // n) for e, c, n in zip(edges, coarse_shape[-2:], shape[-2:], strict=True)],
        mode="constant",
    )
    centre = np.unravel_index(int(np.argmax(density)), density.shape)
    for position, edge, size, small in zip(centre, edges, shape[-2:], coarse_shape[-2:], strict=True):
        start = min(max(0, int(position) * size // small - edge // 2), size - edge)
        window.append(slice(start, start + edge))
    box = tuple(window)
    if len(shape) == 3:
        z = plane * shape[0] // coarse_shape[0]
        box = (slice(z, z + 1), *box)
    pixels = selection.source.read(0, box)
    found = open_array(labels.child("0")).read(output.place_box(0, box))
    write_png(drawn_large(pixels.reshape(pixels.shape[-2:]), found.reshape(pixels.shape[-2:])), path)
