"""Files of other formats, seen as the OME-Zarr that they would be: metadata documents by key, and arrays to read.

Whoever opens a store asks for its documents and reads its arrays, and need not know that there is none. How a file
becomes one is said in :mod:`chunkwise.formats`, which is loaded only where a location says that it is such a file.
"""

from __future__ import annotations

import importlib
import os
import stat
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple, Protocol

from chunkwise.files import file_signature
from chunkwise.storage.array_reader import ArrayReader
from chunkwise.storage.location import Location

__all__ = ["ForeignStore", "Format", "foreign_store", "forget_files", "format_of", "key_below", "say_unread"]


class Format(NamedTuple):
    """A format of image files."""

    name: str
    media_type: str = ""
    reader: str = ""
    """Module of :mod:`chunkwise.formats`; empty where there is none."""


COMPANION: Final = Format("OME-XML companion file", "image/tiff", "ome_set")

#: How files of formats begin.
FORMATS: Final = {
    b"II*\0": Format("TIFF", "image/tiff", "tiff"),
    b"MM\0*": Format("TIFF", "image/tiff", "tiff"),
    b"II+\0": Format("TIFF", "image/tiff", "tiff"),
    b"MM\0+": Format("TIFF", "image/tiff", "tiff"),
    b"<?xml": COMPANION,
    b"<OME": COMPANION,
    b"\x89PNG": Format("PNG", "image/png", "picture"),
    b"\xff\xd8\xff": Format("JPEG", "image/jpeg", "picture"),
    b"ZISRAWFILE": Format("Zeiss CZI file", "image/x-zeiss-czi", "czi"),
    b"\xda\xce\xbe\x0a": Format("Nikon ND2 file"),
    b"\x70\0\0\0": Format("Leica LIF file"),
    b"\x89HDF": Format("HDF5 file"),
    b"\0\0\0\x0cjP  ": Format("JPEG 2000"),
}


def format_of(path: str) -> Format | None:
    """Say what a file is by how it begins; None where it is none of :data:`FORMATS`."""
    try:
        # A pipe would never end.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        begins = os.read(handle, 4096) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)
    begins = begins.removeprefix(b"\xef\xbb\xbf")
    found = next((found for magic, found in FORMATS.items() if begins.startswith(magic)), None)
    # There is much other XML in the world.
    return None if found == COMPANION and b"<OME" not in begins else found


def say_unread(path: str, found: Format) -> str:
    """Say of a file that it is no OME-Zarr, and what makes one of it."""
    article = "an" if found.name[0] in "HO" else "a"
    if found.reader:
        return (
            f"{path} is {article} {found.name}, not an OME-Zarr; bring it in first, with 'chunkwise convert' or, in "
            "Galaxy, the tool 'Bring an image in'."
        )
    return (
        f"{path} is {article} {found.name}, a format that chunkwise does not read; make an OME-Zarr of it, for example "
        f"with 'bioformats2raw {os.path.basename(path)} OUT.zarr'."
    )


class ForeignStore(Protocol):
    """A file, or several that belong together, as a store."""

    documents: Mapping[str, bytes]
    """``zarr.json`` of the group and of every level, by key."""
    arrays: Mapping[str, ArrayReader]
    """Levels by their paths."""
    files: tuple[str, ...]
    """Names of all files that are read, in the folder that the location names."""
    remarks: tuple[str, ...]
    """What there is to say of how it was read: what it lacks, and what of it is not carried along."""
    attached: Mapping[str, bytes]
    """Documents that go beside the image as they are, such as OME-XML, by their keys."""

    def check(self) -> None:
        """Look at the whole file, and read none of its voxels.

        Raises
        ------
        InputError
            If it has less than it says.
        """


def foreign_store(location: Location) -> ForeignStore:
    """Open the file that a location lies in; a process opens it once, as long as it is the same file.

    Raises
    ------
    InputError
        If it cannot be read, or is damaged.
    PolicyError
        If it names other files that the policy does not allow.
    """
    assert location.foreign is not None
    return _open(replace(location, address=location.foreign.path), file_signature(location.foreign.path))


def forget_files() -> None:
    """Open files anew from now on."""
    _open.cache_clear()


def key_below(location: Location) -> str:
    """What stands in an address after the file, such as ``0/zarr.json``."""
    assert location.foreign is not None
    return location.address[len(location.foreign.path) :].strip("/")


@lru_cache(maxsize=16)
def _open(location: Location, _: tuple[int, ...]) -> ForeignStore:
    assert location.foreign is not None
    reader = importlib.import_module(f"chunkwise.formats.{location.foreign.reader}")
    store: ForeignStore = reader.open_file_as_store(location)
    return store
