"""Views in tests: made by the command, and read back out of their HTML by other means than the page's own."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from PIL import Image

from chunkwise.cli import main
from made_stores import multiscale, write

__all__ = ["fill_levels", "made_image", "plane_of", "scene_in", "viewed"]

EDGE = 256


def made_image(path: Path, axes: str, data: np.ndarray, levels: int = 1, chunk: int = 64, **more: Any) -> Path:
    """Write a store whose lower levels are every second voxel of the one before."""
    entry = more.pop("entry", None) or multiscale(axes, levels)
    write(path, axes=axes, shape=data.shape, dtype=data.dtype, entry=entry, chunk=chunk, **more)
    fill_levels(path, axes, data, levels)
    return path


def fill_levels(path: Path, axes: str, data: np.ndarray, levels: int) -> None:
    for level in range(levels):
        array = zarr.open_array(path / str(level), mode="r+")
        every = tuple(slice(None, None, 2**level if axis in "yx" else 1) for axis in axes)
        array[...] = data[every][tuple(slice(n) for n in array.shape)]


def viewed(path: Path, *words: str, command: str = "inspect") -> Path:
    """Make the view of a store by the command."""
    page = path.with_suffix(f".{command}.html")
    assert main([command, str(path), "--view", str(page), *words]) == 0
    return page


def scene_in(page: Path) -> Any:
    """What the page's script is given."""
    return json.loads(
        re.search(r'<script type="application/json" id="scene">(.*?)</script>', page.read_text(), re.S)[1]
    )  # type: ignore[index]


def plane_of(layer: Any, sheet: int, frame: str, channel: int = 0) -> np.ndarray:
    """Put the tiles of a sheet together: bytes of an image, numbers of labels, without the margins of tiles."""
    entry = layer["sheets"][sheet]
    height, width = entry["shape"]
    labels = layer["kind"] == "labels"
    plane = np.zeros((height, width), object if labels else np.uint8)
    across = -(-width // EDGE)
    for number, tile in enumerate(entry["frames"][frame][channel]):
        top, left = EDGE * (number // across), EDGE * (number % across)
        bottom, right = min(height, top + EDGE), min(width, left + EDGE)
        if labels and isinstance(tile, dict):
            index = np.asarray(Image.open(io.BytesIO(base64.b64decode(tile["png"]))))
            numbers = np.array([int(one) for one in tile["of"]], object)[index]
            above, before = int(top > 0), int(left > 0)
            pixels: Any = numbers[above : above + bottom - top, before : before + right - left]
        elif labels or not isinstance(tile, str):
            pixels = int(tile)
        else:
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(tile))))
        plane[top:bottom, left:right] = pixels
    return plane
