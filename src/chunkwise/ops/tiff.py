"""A cut of a stored image as an OME-TIFF: one file that any other program opens.

It is written tile by tile, as the cut is read: neither the file nor a plane is ever in memory as a whole.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.progress import Progress
from chunkwise.errors import InputError
from chunkwise.ngff.model import Axis
from chunkwise.ngff.units import short_unit
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.storage.outputs import new_file, said_clearly

__all__ = ["TiffCut", "tiff_type", "write_ome_tiff"]

Array = np.ndarray[Any, Any]

TILE = 512

#: Stands for the file's UUID until its bytes are known.
UNNAMED = str(uuid.UUID(int=0))

#: A classic TIFF has offsets of 32 bits; compression may make data larger, and tables need room.
LARGEST_CLASSIC = 2**32 - 2**28


@dataclass(frozen=True)
class TiffCut:
    """What goes into the file."""

    name: str
    channels: tuple[VolumeSource, ...]
    """One a channel, of one shape."""
    channel_names: tuple[str, ...]
    axes: tuple[Axis, ...]
    """Of the image, in any order."""
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    chunks: tuple[int, ...]
    """What is read at once, spatial axes only."""

    @property
    def shape(self) -> tuple[int, int, int, int, int]:
        """In the order t, c, z, y, x."""
        first = self.channels[0]
        lead = (1,) * (3 - len(first.shape))
        z, y, x = lead + first.shape
        return first.volumes, len(self.channels), z, y, x


def tiff_type(dtype: str) -> str:
    """The type of the file's voxels: the image's, or one that holds each of its values.

    Raises
    ------
    InputError
        For integers of 64 bits, which OME-TIFF does not have.
    """
    if dtype in ("int64", "uint64"):
        raise InputError(f"OME-TIFF cannot hold {dtype} voxels; write the piece as OME-Zarr, with --format zarr.")
    return {"bool": "uint8", "float16": "float32"}.get(dtype, dtype)


def write_ome_tiff(
    path: str, cut: TiffCut, memory: int, workers: int = 1, check: Callable[[], None] = lambda: None
) -> None:
    """Write the file under a temporary name, and give it its own when all of it is there.

    Parameters
    ----------
    path : str
        Its name; a file of that name is replaced.
    cut : TiffCut
        What to write.
    memory : int
        Bytes that the pixels in memory may take, about.
    workers : int
        Threads that compress.
    check : callable
        Called when all is written, before the file gets its name.

    Raises
    ------
    InputError
        If voxels cannot be read, or the type is none of OME-TIFF's.
    ResumableError
        If the disk is full or fails; nothing is left behind.
    """
    import tifffile

    dtype = np.dtype(tiff_type(cut.channels[0].dtype))
    tile = tuple(min(TILE, -(-n // 16) * 16) for n in cut.shape[-2:])
    size = prod(cut.shape) * dtype.itemsize
    with new_file(path) as temporary, said_clearly(path):
        with tifffile.TiffWriter(temporary, bigtiff=size > LARGEST_CLASSIC, ome=True) as writer:
            writer.write(
                _tiles(cut, tile, dtype, memory),
                shape=cut.shape,
                dtype=dtype,
                tile=tile,
                photometric="minisblack",
                compression="adobe_deflate",
                maxworkers=workers,
                buffersize=2**26,
                software="chunkwise",
                metadata=_metadata(cut),
            )
        _name_by_content(temporary)
        check()


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


def _tiles(cut: TiffCut, tile: tuple[int, ...], dtype: np.dtype[Any], memory: int) -> Iterator[Array]:
    """The tiles in the order of the file: planes of t, c, z, and in each the rows and columns of tiles."""
    times, channels, depth, height, _ = cut.shape
    planes, rows = _slab(cut, tile[0], dtype, memory)
    progress = Progress("copy", times * channels * -(-depth // planes), prod(cut.shape))
    for volume in range(times):
        for source in cut.channels:
            for z in range(0, depth, planes):
                for y in range(0, height, rows):
                    slab = _read(source, volume, slice(z, min(z + planes, depth)), slice(y, min(y + rows, height)))
                    for plane in slab.astype(dtype, copy=False):
                        yield from _tiles_of(plane, tile)
                progress.advance(1)


def _slab(cut: TiffCut, tile: int, dtype: np.dtype[Any], memory: int) -> tuple[int, int]:
    """How many planes, and rows of them, are read at once: whole chunks, so that none is decoded twice."""
    _, _, depth, height, width = cut.shape
    plane = height * width * dtype.itemsize
    if plane > memory:
        return 1, max(tile, memory // (width * dtype.itemsize) // tile * tile)
    fit = min(depth, memory // plane)
    chunk = cut.chunks[0] if len(cut.chunks) == 3 else 1
    return max(1, fit // chunk * chunk if fit > chunk else fit), height


def _read(source: VolumeSource, volume: int, z: slice, y: slice) -> Array:
    """A slab of a volume, with three axes."""
    box = (z, y, slice(0, source.shape[-1]))[-len(source.shape) :]
    return source.read(volume, box).reshape(z.stop - z.start, y.stop - y.start, source.shape[-1])


def _tiles_of(plane: Array, tile: tuple[int, ...]) -> Iterator[Array]:
    for y in range(0, plane.shape[0], tile[0]):
        for x in range(0, plane.shape[1], tile[1]):
            part = plane[y : y + tile[0], x : x + tile[1]]
            missing = [(0, t - n) for t, n in zip(tile, part.shape, strict=True)]
            yield np.pad(part, missing) if part.shape != tile else np.ascontiguousarray(part)


def _metadata(cut: TiffCut) -> dict[str, Any]:
    """What OME-XML says of the image."""
    found: dict[str, Any] = {
        "UUID": UNNAMED,
        "axes": "TCZYX",
        "Name": cut.name,
        "Channel": {"Name": list(cut.channel_names)},
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
