"""One plane of a channel, read for a picture: small levels first, and never more than a stated number of bytes."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.ngff.model import Image, Level
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.storage.arrays import Box

__all__ = ["BUDGET", "Plane", "read_plane"]

#: Bytes that one picture may read, decoded chunks and all.
BUDGET = 64 * 2**20

#: A picture is made from the smallest level whose longer side still has this many voxels.
ENOUGH = 512


@dataclass(frozen=True)
class Plane:
    """A plane of one channel at the first time point, and what it shows."""

    data: np.ndarray[Any, Any]
    """Shape (y, x), in the level's data type."""
    level: int
    caption: str
    """Such as ``level 2, highest value along z of 30 planes``."""


def read_plane(image: Image, channel: int = 0, budget: int = BUDGET) -> Plane:
    """Read a plane to show.

    A 3-D image is shown as its highest value along z where the stack is small enough (the middle plane for
    labels, which have no brightness), else as its middle plane. Where even one plane of the smallest level is
    too large, its middle part is shown.

    Parameters
    ----------
    image : Image
        An image or a label image.
    channel : int
        Index.
    budget : int
        Bytes that may be read.
    """
    index = _choose(image)
    level = image.levels[index]
    box, caption = _plan(image, level, budget)
    source = VolumeSource(
        array=image.location.child(level.path),
        axes=image.axis_names,
        channel=channel,
        origin=(0,) * len(box),
        shape=tuple(size for axis, size in zip(image.axis_names, level.shape, strict=True) if axis in "zyx"),
        first_time=0,
        volumes=1,
        dtype=level.dtype,
    )
    data = source.read(0, box)
    if data.ndim == 3:
        data = data.max(axis=0)
    scale = dict(zip(image.axis_names, level.scale, strict=True))
    unit = image.axes[-1].unit
    if unit is not None and image.axes[-2].unit == unit:
        caption.append(f"{data.shape[0] * scale['y']:.4g} × {data.shape[1] * scale['x']:.4g} {unit} high and wide")
    if data.size and data.min() == data.max():
        caption.append(f"the value {data.flat[0]} everywhere")
    return Plane(data, index, ", ".join([f"level {index}", *caption]))


def _choose(image: Image) -> int:
    for index in reversed(range(len(image.levels))):
        if max(image.levels[index].shape[-2:]) >= ENOUGH:
            return index
    return 0


def _plan(image: Image, level: Level, budget: int) -> tuple[Box, list[str]]:
    """Choose the box to read, and say what is left out."""
    height, width = level.shape[-2:]
    caption = ["first time point"] if "t" in image.axis_names and level.shape[0] > 1 else []
    depth = level.shape[-3] if "z" in image.axis_names else 1
    planes = slice(0, depth)
    if depth > 1:
        if image.kind == "image" and _cost(image, level, planes, height, width) <= budget:
            caption.append(f"highest value along z of {depth} planes")
        else:
            planes = slice(depth // 2, depth // 2 + 1)
            caption.append(f"plane {depth // 2} of {depth} (counted from 0)")
    while _cost(image, level, planes, height, width) > budget and max(height, width) > 64:
        height, width = (height // 2, width) if height >= width else (height, width // 2)
    if (height, width) != level.shape[-2:]:
        caption.append(f"only the central {height} × {width} voxels, because there is no smaller level")
    top, left = (level.shape[-2] - height) // 2, (level.shape[-1] - width) // 2
    plane = (slice(top, top + height), slice(left, left + width))
    return ((planes, *plane) if "z" in image.axis_names else plane), caption


def _cost(image: Image, level: Level, planes: slice, height: int, width: int) -> int:
    """Bytes of the chunks that a box in the middle touches; chunks are decoded whole."""
    wanted = {"z": planes.stop - planes.start, "y": height, "x": width}
    touched = []
    for axis, size, chunk in zip(image.axis_names, level.shape, level.chunks, strict=True):
        extent = wanted.get(axis, 1)
        # A box that is not at the start touches up to one chunk more.
        touched.append(min(-(-extent // chunk) + (extent < size and extent > 1), -(-size // chunk)) * chunk)
    return int(prod(touched) * np.dtype(level.dtype).itemsize)
