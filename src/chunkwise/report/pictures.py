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
    "enlarge",
    "label_colors",
    "overlay",
    "png_bytes",
    "to_gray",
    "write_png",
]

Array = np.ndarray[Any, Any]

#: For channels whose store names no colour; told apart also by most colour-blind people.
CHANNEL_COLORS = ("00A0FF", "FF8C00", "FF40C0", "40E060", "F0E040", "FFFFFF")

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


def overlay(image: Array, labels: Array, window: tuple[float, float] | None = None) -> Array:
    """Draw the outline of every object, in its colour, on the grey image.

    Parameters
    ----------
    image : ndarray
        Shape (y, x).
    labels : ndarray
        Integers of the same shape; 0 is background.
    window : tuple of float, optional
        Values shown as black and white; from the histogram of ``image`` where not given.

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
    edge = _outlines(labels)
    drawn[edge] = label_colors(labels[edge])
    return drawn


def _outlines(labels: Array) -> Array:
    """Mark the voxels of objects that touch another value above, below, left or right."""
    edge = np.zeros(labels.shape, dtype=bool)
    for axis in range(labels.ndim):
        ahead = tuple(slice(1, None) if i == axis else slice(None) for i in range(labels.ndim))
        behind = tuple(slice(None, -1) if i == axis else slice(None) for i in range(labels.ndim))
        differs = labels[ahead] != labels[behind]
        edge[ahead] |= differs
        edge[behind] |= differs
    edge &= labels != 0
    return edge


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


def write_png(picture: Array, path: Path | str) -> None:
    """Write a picture as a PNG file, whole or not at all.

    Raises
    ------
    InputError
        If the file exists already, or its folder does not.
    """
    write_atomically(path, png_bytes(picture))
