"""Pictures of planes: contrast, composites of channels, labels in colour, outlines on an image.

All functions take and return NumPy arrays, and know no store.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from math import inf, isfinite, nextafter
from pathlib import Path
from typing import Any

import numpy as np

from chunkwise.storage.outputs import write_atomically

__all__ = [
    "CHANNEL_COLORS",
    "composite",
    "contrast",
    "drawn_large",
    "enlarge",
    "label_colors",
    "numbered",
    "outlined",
    "outlines",
    "overlay",
    "picture_bytes",
    "png_bytes",
    "room_for_numbers",
    "to_gray",
    "write_png",
]

Array = np.ndarray[Any, Any]

#: For channels whose store names no colour; told apart also by most colour-blind people.
CHANNEL_COLORS = ("00A0FF", "FF8C00", "FF40C0", "40E060", "F0E040", "FFFFFF")

#: Pixels of the longer side up to which a tiny picture of objects is enlarged.
READABLE = 800

#: Pixels that a digit of an object's number takes, about, along x and y.
DIGIT = (8, 15)

#: Values that settle a percentile well enough for a screen; of more, every n-th counts.
ENOUGH_VALUES = 4_000_000


def contrast(values: Array, low: float = 0.1, high: float = 99.9) -> tuple[float, float]:
    """Find the values to show as black and as white.

    Parameters
    ----------
    values : ndarray
        Of a small level or a part of it; not-a-number and infinite values do not count.
    low, high : float
        Percentiles of the histogram.

    Returns
    -------
    black, white : float
        ``white`` is greater than ``black``, also for a flat image.
    """
    flat = np.asarray(values).ravel()
    flat = flat[:: max(1, flat.size // ENOUGH_VALUES)]
    flat = flat[np.isfinite(flat)].astype(np.float64)
    if flat.size == 0:
        return 0.0, 1.0
    black, white = (float(value) for value in np.percentile(flat, (low, high)))
    if black == white:  # nearly everything is background
        black, white = float(flat.min()), float(flat.max())
    if white > black:
        return black, white
    white = max(black + 1.0, nextafter(black, inf))  # beyond 2**53, one more is the same number
    return (black, white) if isfinite(white) else (nextafter(black, -inf), black)


def to_gray(plane: Array, black: float, white: float) -> Array:
    """Map values to grey, black to 0 and white to 255; not-a-number becomes black.

    Returns
    -------
    ndarray
        uint8, of the same shape.
    """
    scaled = (np.asarray(plane, dtype=np.float64) - black) * (255.0 / (white - black))
    return np.nan_to_num(np.clip(scaled, 0, 255), nan=0.0).round().astype(np.uint8)


def composite(planes: Sequence[Array], colors: Sequence[str]) -> Array:
    """Add grey planes up, each in its colour, as microscopes show channels.

    Parameters
    ----------
    planes : sequence of ndarray
        uint8, shape (y, x) each.
    colors : sequence of str
        Six hexadecimal digits each.

    Returns
    -------
    ndarray
        uint8, shape (y, x, 3).
    """
    total = np.zeros((*planes[0].shape, 3), dtype=np.uint32)
    for plane, color in zip(planes, colors, strict=True):
        total += plane[..., None].astype(np.uint32) * np.frombuffer(bytes.fromhex(color), np.uint8) // 255
    return np.minimum(total, 255).astype(np.uint8)


def label_colors(labels: Array) -> Array:
    """Colour objects by their id, the same id always in the same colour; background is black.

    Parameters
    ----------
    labels : ndarray
        Integers, any shape.

    Returns
    -------
    ndarray
        uint8, with a last axis of 3.
    """
    ids, inverse = np.unique(labels, return_inverse=True)
    # Steps of the golden angle keep neighbouring ids far apart on the colour wheel.
    hue = (ids.astype(np.float64) * 0.6180339887498949) % 1.0
    lightness = 0.55 + 0.15 * ((ids.astype(np.float64) * 0.7548776662466927) % 1.0)
    offsets = np.array([0.0, 2 / 3, 1 / 3])
    wheel = np.clip(np.abs((hue[:, None] + offsets) % 1.0 * 6 - 3) - 1, 0, 1)
    spread = (1 - np.abs(2 * lightness - 1))[:, None]
    table = np.clip((wheel - 0.5) * spread + lightness[:, None], 0, 1)
    table[ids == 0] = 0
    colors: Array = (table * 255).round().astype(np.uint8)[inverse.reshape(np.shape(labels))]
    return colors


def overlay(image: Array, labels: Array, window: tuple[float, float] | None = None, width: int = 1) -> Array:
    """Draw the outline of every object, in its colour, on the grey image.

    Parameters
    ----------
    image : ndarray
        Shape (y, x).
    labels : ndarray
        Integers of the same shape; 0 is background.
    window : tuple of float, optional
        Values shown as black and white; from the histogram of ``image`` where not given.
    width : int
        Of the outlines, in pixels.

    Returns
    -------
    ndarray
        uint8, shape (y, x, 3).

    Raises
    ------
    ValueError
        If the shapes differ or are not two-dimensional.
    """
    if image.ndim != 2 or image.shape != labels.shape:
        raise ValueError(f"an overlay needs two planes of one shape, not {image.shape} and {labels.shape}")
    gray = to_gray(image, *(window or contrast(image)))
    drawn = np.repeat(gray[..., None], 3, axis=2)
    edge = outlines(labels, width)
    drawn[edge] = label_colors(labels[edge])
    return drawn


def outlines(labels: Array, width: int = 1) -> Array:
    """Mark the voxels of objects that have another value within ``width`` above, below, left or right."""
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        for step in range(1, width + 1):
            ahead = tuple(slice(step, None) if i == axis else slice(None) for i in range(labels.ndim))
            behind = tuple(slice(None, -step) if i == axis else slice(None) for i in range(labels.ndim))
            differs = labels[ahead] != labels[behind]
            edge[ahead] |= differs
            edge[behind] |= differs
    edge &= labels != 0
    return edge


def outlined(labels: Array, width: int = 1, outside: bool = False) -> Array:
    """Leave of the objects of a plane their outlines; with ``outside``, background as near as that belongs to them.

    Where the outlines of several objects meet in the background, the largest label counts.
    """
    found: Array = labels * outlines(labels, width)
    for axis in range(labels.ndim if outside else 0):
        for step in range(1, width + 1):
            ahead = tuple(slice(step, None) if i == axis else slice(None) for i in range(labels.ndim))
            behind = tuple(slice(None, -step) if i == axis else slice(None) for i in range(labels.ndim))
            for here, there in ((ahead, behind), (behind, ahead)):
                nearest = np.where(labels[here] == 0, labels[there], 0)
                np.maximum(found[here], nearest, out=found[here])
    return found


def drawn_large(
    image: Array | None, labels: Array, window: tuple[float, float] | None = None, numbers: bool = False
) -> Array:
    """Draw outlines on an image, tiny planes enlarged by a whole factor to a size that is readable on a screen.

    Parameters
    ----------
    image : ndarray or None
        Shape (y, x); without one the objects are filled with their colours.
    labels : ndarray
        Integers of the same shape; 0 is background.
    window : tuple of float, optional
        Values shown as black and white; from the histogram of ``image`` where not given.
    numbers : bool
        Whether every object gets its number written on it.

    Returns
    -------
    ndarray
        uint8, shape (y, x, 3).
    """
    factor = max(1, READABLE // max(labels.shape))
    large = labels.repeat(factor, axis=0).repeat(factor, axis=1)
    if image is None:
        drawn = label_colors(large)
    else:
        gray = image.repeat(factor, axis=0).repeat(factor, axis=1)
        drawn = overlay(gray, large, window or contrast(image), 1 if factor == 1 else 2)
    return numbered(drawn, large) if numbers else drawn


def numbered(drawn: Array, labels: Array) -> Array:
    """Write its number in the middle of each object, white with a dark rim, so that it is read on any grey."""
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.fromarray(drawn)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(15)
    places = np.nonzero(labels)
    ids, inverse = np.unique(labels[places], return_inverse=True)
    counts = np.bincount(inverse)
    y, x = (np.bincount(inverse, place) / counts for place in places)
    for number, down, right in zip(ids.tolist(), y.tolist(), x.tolist(), strict=True):
        draw.text((right, down), str(number), "white", font, anchor="mm", stroke_width=2, stroke_fill="black")
    return np.asarray(picture)


def room_for_numbers(labels: Array) -> bool:
    """Whether a picture has room for the numbers of all of its objects beside each other."""
    width, height = DIGIT
    ids = np.unique(labels[labels > 0]).tolist()
    return sum(width * len(str(number)) * height for number in ids) <= labels.size


def enlarge(picture: Array, least: int = 256) -> Array:
    """Repeat the pixels of a tiny picture until its longer side has ``least`` of them."""
    longest = max(picture.shape[:2])
    factor = -(-least // longest)
    return picture if factor <= 1 else picture.repeat(factor, axis=0).repeat(factor, axis=1)


def png_bytes(picture: Array) -> bytes:
    """Encode a picture, uint8 of shape (y, x) or (y, x, 3), as PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def picture_bytes(picture: Array, most: int) -> tuple[str, bytes]:
    """Encode a picture as PNG, or as JPEG where it would take more than ``most`` bytes: its media type and bytes."""
    from PIL import Image

    content = png_bytes(picture)
    if len(content) <= most:
        return "image/png", content
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, format="JPEG", quality=88, subsampling=0)
    return "image/jpeg", buffer.getvalue()


def write_png(picture: Array, path: Path | str) -> None:
    """Write a picture as a PNG file, whole or not at all.

    Raises
    ------
    InputError
        If the file exists already, or its folder does not.
    """
    write_atomically(path, png_bytes(picture))
