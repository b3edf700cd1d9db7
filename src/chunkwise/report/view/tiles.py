"""Tiles of a view: planes cut into squares of PNG, with as many resolutions, planes and times as fit into a size.

A tile of an image has a byte for each pixel. A tile of labels has the index of each pixel's number in a list of the
numbers that occur in it, so that every number is exact however large; it is one pixel larger on each side where there
is more, so that the outline of an object does not break where tiles meet. A tile of one value is that value.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

__all__ = ["EDGE", "EXACT", "gray_tile", "label_tile", "size_of", "stitched", "tiles_of"]

Array = np.ndarray[Any, Any]

#: Pixels of a tile's edge.
EDGE = 256

#: Whole numbers beyond this one are text, because JavaScript would round them.
EXACT = 2**53


def gray_tile(pixels: Array) -> str | int:
    """Encode a tile of an image, uint8."""
    if pixels.min() == pixels.max():
        return int(pixels.flat[0])
    return _png(pixels)


def label_tile(numbers: Array) -> dict[str, Any] | int | str:
    """Encode a tile of labels, whole numbers."""
    known, index = np.unique(numbers, return_inverse=True)
    listed = [_number(int(one)) for one in known]
    if len(known) == 1:
        return listed[0]
    return {
        "png": _png(index.reshape(numbers.shape).astype(np.uint8 if len(known) <= 256 else np.uint16)),
        "of": listed,
    }


def tiles_of(plane: Array, labels: bool) -> list[Any]:
    """Cut a plane into tiles, row by row."""
    margin, encode = int(labels), label_tile if labels else gray_tile
    rows, columns = (list(_spans(size, margin)) for size in plane.shape)
    return [encode(plane[row, column]) for row in rows for column in columns]


def stitched(tiles: Sequence[Any], shape: tuple[int, int], labels: bool) -> Array:
    """Put the tiles of a plane together again."""
    plane = np.zeros(shape, np.int64 if labels else np.uint8)
    margin, (height, width) = int(labels), shape
    places = ((row, column) for row in _spans(height, margin) for column in _spans(width, margin))
    for tile, place in zip(tiles, places, strict=True):
        if isinstance(tile, dict):
            # Numbers that JavaScript would round stand as text; here they need not be more than different.
            plane[place] = np.array([int(one) % 2**62 for one in tile["of"]])[_pixels(tile["png"])]
        else:
            plane[place] = _pixels(tile) if isinstance(tile, str) and not labels else int(tile)
    return plane


def size_of(tile: Any) -> int:
    """Bytes that a tile takes in the page, at most."""
    if isinstance(tile, dict):
        return len(tile["png"]) + 24 + sum(len(str(one)) + 3 for one in tile["of"])
    return len(str(tile)) + 3


def _spans(size: int, margin: int) -> Iterator[slice]:
    """Parts of an axis, one a tile, with a margin where there is something."""
    for start in range(0, size, EDGE):
        yield slice(max(0, start - margin), min(size, start + EDGE + margin))


def _number(value: int) -> int | str:
    return value if abs(value) <= EXACT else str(value)


def _png(pixels: Array) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(buffer, format="PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _pixels(png: str) -> Array:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(base64.b64decode(png))))
