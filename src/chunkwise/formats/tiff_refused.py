"""What is refused of a TIFF before anything is read: pixels that are not decoded here, tiles that it does not list."""

from __future__ import annotations

from math import prod
from struct import unpack
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.formats.tiff_planes import OpenFile

__all__ = ["refuse_broken", "refuse_cut", "refuse_undecodable"]


def refuse_undecodable(series: Any, path: str) -> None:
    """Refuse a series of pixels that no image has here, or of a compression that is not known.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        The series.
    path : str
        Of the file, for sentences.

    Raises
    ------
    InputError
        With what to do about it.
    """
    import tifffile

    if any(len(level.shape) < 2 or 0 in level.shape for level in series.levels):
        raise InputError(f"The TIFF {path} holds no image.")
    page = series.keyframe
    if series.dtype is None or np.dtype(series.dtype).kind not in "biuf":
        kind = f"{page.bitspersample} bits" if series.dtype is None else str(series.dtype)
        raise InputError(
            f"The pixels of {path} are of the type {kind}, and images here are of integers or real numbers; write it "
            "again as such, complex numbers for example as their magnitude."
        )
    try:
        tifffile.TIFF.DECOMPRESSORS[page.compression]
    except KeyError:
        name = getattr(page.compression, "name", str(page.compression))
        raise InputError(
            f"{path} is compressed with {name} (number {int(page.compression)}), which is not read here; write it "
            "again with another compression, such as zlib, with the program that made it."
        ) from None


def refuse_cut(tif: Any, file: OpenFile, path: str) -> None:
    """Refuse a file whose planes go on where it has ended: tifffile takes those that are there for all.

    Many programs write the table of a plane behind its pixels, so that nothing that is left speaks of the others.

    Parameters
    ----------
    tif : tifffile.TiffFile
        The file.
    file : OpenFile
        The same.
    path : str
        Of the file, for sentences.

    Raises
    ------
    InputError
        With the numbers.
    """
    with file.lock:
        where = tif.pages.next_page_offset
        if where is None:
            return
        tif.filehandle.seek(where)
        found = tif.filehandle.read(tif.tiff.offsetsize)
    following = unpack(tif.tiff.offsetformat, found)[0] if len(found) == tif.tiff.offsetsize else where
    if following >= file.size:
        raise InputError(
            f"{path} is broken off: after {len(tif.pages)} of its planes it goes on at byte {following}, and it has "
            f"{file.size}; copy the file again."
        )


def refuse_broken(series: Any, size: int, path: str) -> None:
    """Refuse a file that has less than it says: tifffile gives zeros for a plane, or a tile, that is not there.

    Parameters
    ----------
    series : tifffile.TiffPageSeries
        A series, or a resolution of it; every plane of it is looked at.
    size : int
        Bytes of the file.
    path : str
        Of the file, for sentences.

    Raises
    ------
    InputError
        With the numbers.
    """
    missing = [number for number, page in enumerate(series.pages) if page is None]
    if missing:
        raise InputError(
            f"{path} says that it has {len(series.pages)} planes, and {len(missing)} of them are not there, the first "
            f"being plane {missing[0]}; copy or write the file again."
        )
    if series.dataoffset is not None and series.dataoffset + prod(series.shape) * series.dtype.itemsize > size:
        raise _broken_off(path, series.dataoffset + prod(series.shape) * series.dtype.itemsize, size)
    for page in series.pages:
        ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
        if ends and series.dataoffset is None and max(ends) > size:
            raise _broken_off(path, max(ends), size)
    _refuse_incomplete(series, path)


def _broken_off(path: str, needed: int, size: int) -> InputError:
    return InputError(f"{path} is broken off: it needs {needed} bytes and has {size}; copy the file again.")


def _refuse_incomplete(level: Any, path: str) -> None:
    """Refuse a level of which a page lists fewer tiles or strips than its size takes: the others would be read as 0."""
    if level.dataoffset is not None:  # the pixels lie one behind the other, and their bytes are counted
        return
    needed = prod(level.keyframe.chunked)
    for number, page in enumerate(level.pages):
        if page is None:
            continue
        listed = min(len(page.dataoffsets), len(page.databytecounts))
        if listed < needed:
            what = "tiles" if level.keyframe.is_tiled else "strips"
            raise InputError(
                f"Plane {number} of {path} lists {listed} {what}, and its size takes {needed}; the file is damaged: "
                "copy or write it again."
            )
