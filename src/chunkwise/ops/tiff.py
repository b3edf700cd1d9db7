"""A cut of a stored image as one TIFF: an OME-TIFF with a pyramid, or one as ImageJ writes it.

It is written as the cut is read: neither the file nor a plane is ever in memory as a whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.progress import Progress
from chunkwise.errors import InputError
from chunkwise.ngff.pyramid import means
from chunkwise.ngff.units import short_unit
from chunkwise.ops.cut import Cut
from chunkwise.storage.outputs import new_file, said_clearly

__all__ = ["LARGEST_IMAGEJ", "TILE", "level_shapes", "write_imagej_tiff", "write_ome_tiff"]

Array = np.ndarray[Any, Any]

TILE = 512

#: Stands for the file's UUID until its bytes are known.
UNNAMED = str(uuid.UUID(int=0))

#: A classic TIFF has offsets of 32 bits; compression may make data larger, and tables need room.
LARGEST_CLASSIC = 2**32 - 2**28

#: Bytes of an ImageJ TIFF, and what the table of each plane takes of them at most.
LARGEST_IMAGEJ, PLANE_TABLE = 2**32 - 2**20, 512


def level_shapes(shape: tuple[int, ...]) -> list[tuple[int, int]]:
    """Height and width of each level of a pyramid: half of the one before, until a plane is one tile."""
    height, width = shape[-2:]
    found = [(height, width)]
    while max(height, width) > TILE:
        height, width = -(-height // 2), -(-width // 2)
        found.append((height, width))
    return found


def write_ome_tiff(
    path: str, cut: Cut, dtype: str, memory: int, workers: int = 1, check: Callable[[], None] = lambda: None
) -> None:
    """Write an OME-TIFF under a temporary name, and give it its own when all of it is there.

    Lower levels are made of the one before, plane by plane: labels of every second voxel, images of means of 2 x 2,
    as in the pyramids of our OME-Zarr. They lie in a file beside it that has no name until their turn comes.

    Parameters
    ----------
    path : str
        Its name; a file of that name is replaced.
    cut : Cut
        What to write.
    dtype : str
        Of the file's voxels.
    memory : int
        Bytes that a slab of voxels may take, about.
    workers : int
        Threads that compress.
    check : callable
        Called when all is written, before the file gets its name.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the disk is full or fails; nothing is left behind.
    """
    import tifffile

    kind, shapes = np.dtype(dtype), level_shapes(cut.shape)
    tile = tuple(min(TILE, -(-n // 16) * 16) for n in cut.shape[-2:])
    size = prod(cut.shape[:3]) * sum(map(prod, shapes)) * kind.itemsize
    told = Progress("copy", prod(cut.shape[:2]), prod(cut.shape))
    with new_file(path) as temporary, said_clearly(path), ExitStack() as opened:
        folder = os.path.dirname(path)
        lower = [opened.enter_context(_Scratch(folder, shape, kind)) for shape in shapes[1:]]
        with tifffile.TiffWriter(temporary, bigtiff=size > LARGEST_CLASSIC, ome=True) as writer:
            for level, shape in enumerate(shapes):
                rows = _rows_of(cut, memory, told, kind) if level == 0 else lower[level - 1].all_rows(cut.shape[:3])
                below = lower[level] if level < len(lower) else None
                writer.write(
                    _tiles(rows, tile, below, cut.labels),
                    shape=(*cut.shape[:3], *shape),
                    dtype=kind,
                    tile=tile,
                    subifds=len(lower) if level == 0 and lower else None,
                    subfiletype=1 if level else None,
                    photometric="minisblack",
                    compression="adobe_deflate",
                    maxworkers=workers,
                    buffersize=2**25,
                    software="chunkwise",
                    metadata=_ome_metadata(cut) if level == 0 else None,
                )
        _name_by_content(temporary)
        check()


def _rows_of(cut: Cut, memory: int, told: Progress, dtype: np.dtype[Any]) -> Iterator[tuple[int, int, Array]]:
    """Rows of every plane in the order of the file: number of the plane, first row, rows; a multiple of tiles."""
    _, n_channels, depth, height, _ = cut.shape
    for slab in cut.slabs(TILE, memory):
        first = (slab.time * n_channels + slab.channel) * depth + slab.first_plane
        for number, rows in enumerate(slab.voxels.astype(dtype, copy=False)):
            yield first + number, slab.first_row, rows
        if slab.first_plane + len(slab.voxels) == depth and slab.first_row + slab.voxels.shape[1] == height:
            told.advance(1)


class _Scratch:
    """A level that waits for its turn, in a file without a name."""

    def __init__(self, folder: str, shape: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self._shape, self._dtype = shape, dtype
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by whoever enters it)

    def __enter__(self) -> _Scratch:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def _seek(self, plane: int, row: int) -> None:
        height, width = self._shape
        self._file.seek((plane * height + row) * width * self._dtype.itemsize)

    def put(self, plane: int, row: int, rows: Array) -> None:
        """Write rows of a plane."""
        self._seek(plane, row)
        self._file.write(np.ascontiguousarray(rows).view(np.uint8).data)

    def all_rows(self, planes: tuple[int, ...]) -> Iterator[tuple[int, int, Array]]:
        """Read all planes, as many rows at once as a tile has."""
        height, width = self._shape
        for plane in range(prod(planes)):
            for row in range(0, height, TILE):
                count = min(TILE, height - row)
                self._seek(plane, row)
                content = self._file.read(count * width * self._dtype.itemsize)
                yield plane, row, np.frombuffer(content, self._dtype).reshape(count, width)


def _tiles(
    parts: Iterator[tuple[int, int, Array]], tile: tuple[int, ...], below: _Scratch | None, labels: bool
) -> Iterator[Array]:
    """Cut rows into tiles, and put what they are in the next level where that waits."""
    for plane, first, rows in parts:
        for y in range(0, len(rows), TILE):
            strip = rows[y : y + TILE]
            if below is not None:
                below.put(plane, (first + y) // 2, strip[::2, ::2] if labels else means(strip, (2, 2)))
            for x in range(0, rows.shape[1], tile[1]):
                part = strip[:, x : x + tile[1]]
                missing = [(0, t - n) for t, n in zip(tile, part.shape, strict=True)]
                yield np.pad(part, missing) if part.shape != tile else np.ascontiguousarray(part)


def _name_by_content(path: str) -> None:
    """Give the file the UUID that OME-XML wants, made of its bytes.

    tifffile would take one of the clock and of the machine's network address: two files of the same image would
    differ, and would tell on which machine they were written.
    """
    import tifffile

    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    with tifffile.TiffFile(path) as written:
        tag = written.pages.first.tags["ImageDescription"]
        place, length = tag.valueoffset, tag.count
    with open(path, "r+b") as file:
        file.seek(place)
        file.seek(place + file.read(length).index(UNNAMED.encode()))
        file.write(str(uuid.UUID(bytes=digest[:16], version=5)).encode())


def _plain(name: str) -> str:
    """A name as XML can hold it: what it has no letter for becomes a replacement character."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", name)


def _ome_metadata(cut: Cut) -> dict[str, Any]:
    """What OME-XML says of the image."""
    found: dict[str, Any] = {
        "UUID": UNNAMED,
        "axes": "TCZYX",
        "Name": _plain(cut.name),
        "Channel": [{"Name": _plain(one.name)} | _ome_color(one.color) for one in cut.channels],
    }
    n_planes = prod(cut.shape[:3])
    moved = any(cut.translation)
    position: dict[str, Any] = {}
    for axis, scale, offset in zip(cut.axes, cut.scale, cut.translation, strict=True):
        if axis.type == "time" and axis.unit is not None:
            found |= {"TimeIncrement": scale, "TimeIncrementUnit": short_unit(axis.unit)}
        if axis.type != "space":
            continue
        letter = axis.name.upper()
        # Without a unit OME-XML would take micrometres.
        unit = short_unit(axis.unit) if axis.unit is not None else "reference frame"
        if axis.unit is not None or scale != 1:
            found |= {f"PhysicalSize{letter}": scale, f"PhysicalSize{letter}Unit": unit}
        if moved:
            position |= {f"Position{letter}": [offset] * n_planes, f"Position{letter}Unit": [unit] * n_planes}
    if position:
        found["Plane"] = position
    return found


def _ome_color(color: str | None) -> dict[str, int]:
    """Red, green, blue and opacity as one signed number of 32 bits."""
    if color is None:
        return {}
    value = int(f"{color}FF", 16)
    return {"Color": value - 2**32 if value >= 2**31 else value}


def write_imagej_tiff(
    path: str, cut: Cut, dtype: str, memory: int, workers: int = 1, check: Callable[[], None] = lambda: None
) -> None:
    """Write a TIFF that ImageJ opens as a hyperstack, as :func:`write_ome_tiff` writes its own; not compressed.

    Raises
    ------
    InputError
        If it would be larger than such a TIFF can be, or voxels cannot be read.
    ResumableError
        If the disk is full or fails; nothing is left behind.
    """
    import tifffile

    del workers  # nothing is compressed
    kind, (times, channels, depth, height, width) = np.dtype(dtype), cut.shape
    size = prod(cut.shape) * kind.itemsize + prod(cut.shape[:3]) * PLANE_TABLE
    if size > LARGEST_IMAGEJ:
        raise InputError(
            f"An ImageJ TIFF has less than 4 GiB, and this one would have {size / 2**30:.1f}; write an OME-TIFF with "
            "--format ome-tiff, or choose a coarser --level or a --region."
        )
    # ImageJ's own order; the data lie one after the other behind the first table.
    shape = (times, depth, channels, height, width)
    sizes = cut.sizes_in("micrometer")
    flat = {"x", "y"} <= set(sizes)
    told = Progress("copy", prod(cut.shape[:2]), prod(cut.shape))
    with new_file(path) as temporary, said_clearly(path):
        with tifffile.TiffWriter(temporary, imagej=True) as writer:
            writer.write(
                None,
                shape=shape,
                dtype=kind,
                resolution=(1 / sizes["x"][0], 1 / sizes["y"][0]) if flat else None,
                software="chunkwise",
                metadata=_imagej_metadata(cut, sizes if flat else {}),
            )
        with tifffile.TiffFile(temporary) as written:
            start, order = written.pages.first.dataoffsets[0], written.byteorder
        stored = kind.newbyteorder(order)
        with open(temporary, "r+b") as file:
            for slab in cut.slabs(TILE, memory):
                for number, rows in enumerate(slab.voxels):
                    plane = (slab.time * depth + slab.first_plane + number) * channels + slab.channel
                    file.seek(start + (plane * height + slab.first_row) * width * kind.itemsize)
                    file.write(np.ascontiguousarray(rows, stored).view(np.uint8).data)
                if slab.first_plane + len(slab.voxels) == depth and slab.first_row + slab.voxels.shape[1] == height:
                    told.advance(1)
        check()


def _imagej_metadata(cut: Cut, sizes: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """What ImageJ's description says of the image; one unit stands for all axes, and time is in seconds."""
    times, _, depth, _, _ = cut.shape
    found: dict[str, Any] = {"axes": "TZCYX", "unit": "um" if sizes else "pixel"}
    if "z" in sizes:
        found["spacing"] = sizes["z"][0]
    for axis, (size, offset) in sizes.items():
        if offset:  # where the origin of the space lies, counted in voxels of the image
            found[f"{axis}origin"] = -offset / size
    time = cut.sizes_in("second").get("t")
    if time is not None:
        found |= {"finterval": time[0], "tunit": "sec"}
    if len(cut.channels) > 1:
        found["mode"] = "composite"
        found["Labels"] = [one.name for _ in range(times * depth) for one in cut.channels]
    if all(one.color for one in cut.channels):
        ramp = np.arange(256, dtype=np.uint32)
        parts = [[int(str(one.color)[n : n + 2], 16) for n in (0, 2, 4)] for one in cut.channels]
        found["LUTs"] = [np.array([ramp * part // 255 for part in three], np.uint8) for three in parts]
    if all(one.window for one in cut.channels):
        found["Ranges"] = tuple(end for one in cut.channels for end in one.window or ())
    return found
