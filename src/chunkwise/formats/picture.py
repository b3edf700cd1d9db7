"""PNG and JPEG, read by Pillow. They cannot be read in parts, so that they are read whole, up to a bound.

Of a PNG whose samples have 16 bits, Pillow gives the first 8, where a pixel has several: libpng reads those.
"""

from __future__ import annotations

import os
import warnings
from typing import IO, Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.files import open_file
from chunkwise.formats.described import COLORS, DescribedFile, amend
from chunkwise.formats.tiff_planes import explained
from chunkwise.ngff.model import Channel, bare_name
from chunkwise.storage.array_reader import Box
from chunkwise.storage.location import Location

__all__ = ["open_file_as_store"]

#: Pixels at most: what a camera or a slide's overview has (Pillow itself refuses more than 2**27.4). More is kept in
#: formats that can be read in parts.
MOST_PIXELS = 2**27

#: What pixels hold, as Pillow calls it, by the number in the header of a PNG of several samples a pixel.
SEVERAL = {2: "RGB", 4: "LA", 6: "RGBA"}

#: EXIF's tag for how a picture is to be turned.
ORIENTATION = 0x0112

#: Names of what pixels hold, by Pillow's modes.
PARTS = {"RGB": ("red", "green", "blue"), "RGBA": ("red", "green", "blue", "alpha"), "LA": ("grey", "alpha")}


def open_file_as_store(location: Location) -> DescribedFile:
    """Open a picture as a store; see :func:`chunkwise.storage.foreign.foreign_store`."""
    assert location.foreign is not None
    path, said = location.foreign.path, dict(location.foreign.said)
    for option in ("series", "axes"):
        if option in said:
            raise InputError(f"--{option} is for TIFFs; {path} is a picture, whose axes are known.")
    array, mode, changes = _pixels(path, location)
    parts = PARTS.get(mode, ())
    axes = "cyx" if parts else "yx"
    channels = tuple(Channel(n, part, COLORS.get(part)) for n, part in enumerate(parts)) or (Channel(0, "0"),)
    sizes, channels, remarks = amend(said, axes, {}, channels, path)
    name, files = said.get("name") or bare_name(location), (os.path.basename(path),)
    told = tuple(f"{path}: {change}" for change in changes)
    return DescribedFile(name, axes, [_Whole(array)], files, sizes, channels, (*remarks, *told))


def _pixels(path: str, location: Location) -> tuple[np.ndarray[Any, Any], str, list[str]]:
    """Pixels with their samples first, Pillow's mode, and what there is to say of them."""
    from PIL import Image, UnidentifiedImageError

    said = []
    with open_file(path, lambda real: real == path or location.allows(real), what="picture") as file:
        bits, kind = _png_header(file.read(26))
        file.seek(0)
        try:
            with warnings.catch_warnings():
                # Pillow warns of sizes below our own bound.
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                image: Image.Image = Image.open(file, formats=("PNG", "JPEG"))
            if image.width * image.height > MOST_PIXELS:
                raise InputError(
                    f"{path} has {image.width} x {image.height} pixels; a picture of more than {MOST_PIXELS} is not "
                    "read, because all of it has to be in memory at once: write it as a TIFF."
                )
            if getattr(image, "n_frames", 1) > 1:
                raise InputError(f"{path} is an animation, not an image.")
            if image.getexif().get(ORIENTATION, 1) != 1:
                said.append("it asks to be shown turned or mirrored, and is read as the pixels are stored")
            if image.mode == "P":  # numbers of colours
                said.append("its pixels are numbers of colours, and become the colours")
                image = image.convert("RGBA" if "transparency" in image.info else "RGB")
            if image.mode not in ("1", "L", "I;16", "I;16B", "I", *PARTS):
                raise InputError(f"{path} has pixels of the kind {image.mode}, which are not read; write it as a TIFF.")
            if bits == 16 and kind in SEVERAL:
                return *_of_16_bits(path, file, SEVERAL[kind]), said
            if bits in (2, 4) and kind == 0:
                said.append(f"its grey values have {bits} bits, and are stretched to 0 to 255")
            image.load()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            words = " ".join(str(error).split()).rstrip(".")
            raise InputError(f"The picture {path} cannot be read: {words}.") from None
    pixels = np.asarray(image)
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return (np.moveaxis(pixels, -1, 0) if pixels.ndim == 3 else pixels), image.mode, said


def _png_header(begin: bytes) -> tuple[int, int]:
    """Bits of a sample and what a pixel holds, as a PNG says it; of another file 0."""
    return (begin[24], begin[25]) if len(begin) == 26 and begin.startswith(b"\x89PNG") else (0, 0)


def _of_16_bits(path: str, file: IO[bytes], mode: str) -> tuple[np.ndarray[Any, Any], str]:
    """Pixels of several samples, which come first, and what they hold."""
    import imagecodecs

    file.seek(0)
    with explained(path, what="picture"):
        pixels = np.moveaxis(imagecodecs.png_decode(file.read()), -1, 0)
    return pixels, "RGBA" if len(pixels) == 4 else mode  # one colour may stand for none


class _Whole:
    """An array that is in memory."""

    def __init__(self, array: np.ndarray[Any, Any]) -> None:
        self._array = array
        self.shape = array.shape
        self.chunks = self.files = tuple(1 if n < array.ndim - 2 else size for n, size in enumerate(array.shape))
        self.dtype = array.dtype

    def key(self, index: tuple[int, ...]) -> str:
        """Give a name for a chunk; there is no file of that name."""
        return "c/" + "/".join(map(str, index))

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        """Read a box."""
        return np.ascontiguousarray(self._array[box])
