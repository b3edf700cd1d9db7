"""A plane of a stored image as a PNG, written as it is read: Pillow would need all of it, and has no RGB of 16 bits."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import IO, Any, Final

import numpy as np

from chunkwise.blocks.progress import Progress
from chunkwise.errors import InputError
from chunkwise.ops.cut import Cut
from chunkwise.storage.outputs import new_file, said_clearly

__all__ = ["ROWS", "write_png"]

Array = np.ndarray[Any, Any]

#: Rows that are read at once are a multiple of this.
ROWS = 64

BITS: Final = {"bool": 1, "uint8": 8, "uint16": 16}
GREY, RGB = 0, 2
#: Each row is written as its difference to the one above, which compresses better.
UP = b"\2"


def write_png(
    path: str, cut: Cut, dtype: str, memory: int, workers: int = 1, check: Callable[[], None] = lambda: None
) -> None:
    """Write a PNG as :func:`chunkwise.ops.tiff.write_ome_tiff` writes its file, with the same errors.

    Parameters
    ----------
    cut : Cut
        One plane at one time, of one channel or of three, which become red, green and blue in their order.
    dtype : str
        ``uint8``, ``uint16``, or ``bool``, which has one bit a pixel.

    Raises
    ------
    InputError
        Also if it is more than a plane, or has another number of channels.
    """
    del workers  # there is one stream
    times, channels, depth, height, width = cut.shape
    bits = BITS[dtype]
    if (times, depth) != (1, 1) or channels not in (1, 3) or (channels == 3 and bits == 1):
        raise InputError(
            f"A PNG is one plane, of one channel or of three that become red, green and blue, and this piece has "
            f"{_counted(times, 'time point')}, {_counted(channels, 'channel')} and {_counted(depth, 'plane')}; choose "
            "with --time, --channel and --region, or write an OME-TIFF with --format ome-tiff."
        )
    _, rows = cut.slab_shape(ROWS, memory // channels)
    told = Progress("copy", -(-height // rows), channels * height * width)
    packer, above = zlib.compressobj(6), np.zeros(0, np.uint8)
    with new_file(path) as temporary, said_clearly(path):
        with open(temporary, "wb") as file:
            file.write(b"\x89PNG\r\n\x1a\n")
            _put(file, b"IHDR", struct.pack(">IIBBBBB", width, height, bits, GREY if channels == 1 else RGB, 0, 0, 0))
            for y in range(0, height, rows):
                part = slice(y, min(y + rows, height))
                planes = [cut.read(channel, 0, slice(0, 1), part)[0] for channel in range(channels)]
                for row in range(0, part.stop - part.start, ROWS):
                    lines = _bytes_of(np.stack([plane[row : row + ROWS] for plane in planes], axis=-1), bits)
                    first = above if len(above) else np.zeros_like(lines[0])
                    differences = lines - np.concatenate([first[np.newaxis], lines[:-1]])
                    above = lines[-1]
                    content = b"".join(UP + line.tobytes() for line in differences)
                    _put(file, b"IDAT", packer.compress(content))
                told.advance(1)
            _put(file, b"IDAT", packer.flush())
            _put(file, b"IEND", b"")
        check()


def _bytes_of(pixels: Array, bits: int) -> Array:
    """Rows of pixels as rows of bytes, the most significant first."""
    if bits == 1:
        return np.packbits(pixels[..., 0].astype(bool), axis=1)
    rows = np.ascontiguousarray(pixels, f">u{bits // 8}")
    return rows.reshape(len(rows), -1).view(np.uint8)


def _put(file: IO[bytes], kind: bytes, content: bytes) -> None:
    if content or kind != b"IDAT":
        file.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content)))


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
