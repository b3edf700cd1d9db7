"""The objects of a store: which there are, how large they are, and what every one holds, read once."""

from __future__ import annotations

import hashlib
import os
import posixpath
import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chunkwise.errors import InputError
from chunkwise.files import hold, open_file
from chunkwise.storage.foreign import foreign_store
from chunkwise.storage.kv import contents_of, list_keys
from chunkwise.storage.location import Location
from chunkwise.storage.zipped import archive_of, key_in

__all__ = ["LateError", "Seen", "is_about", "object_keys", "object_status", "path_of", "read_objects", "zipped_sizes"]

#: Bytes that are read and hashed at a time.
PIECE = 2**20


class LateError(Exception):
    """There was no time to look at all objects."""


class Seen(NamedTuple):
    """An object as it is now."""

    key: str
    sha256: str
    size: int
    md5: str | None = None
    """Only where it was asked for."""


def is_about(key: str) -> bool:
    """Whether an object speaks about the store rather than being part of it: the metadata of an RO-Crate, a page."""
    return posixpath.basename(key).startswith("ro-crate-")


def object_keys(location: Location, *, about: bool = False, until: float | None = None) -> list[str]:
    """List the objects of a store, sorted; those that only speak about it (``ro-crate-*``) with ``about`` alone.

    ``until`` is a time of :func:`time.monotonic`, after which a folder is not listed any more.

    Raises
    ------
    InputError
        If the store, or a folder in it, cannot be listed, as on a web server; or if a name has a line break, with which
        one object could pass for two.
    PolicyError
        If a folder is a symbolic link to what the policy does not allow.
    ResumableError
        If the server does not answer.
    LateError
        If the time is over.
    """
    if location.foreign is not None:
        keys = list(foreign_store(location).files)
    elif location.archive is not None:
        keys = list(zipped_sizes(location))
    elif location.is_url:
        if location.s3 is None:
            raise InputError(
                f"{location.address} is on a web server, which cannot list what it has; use --fingerprint none, "
                "which covers only its metadata."
            )
        keys = list_keys(location)
    else:
        try:
            keys = []
            for key in _walk(location):
                keys.append(key)
                if until is not None and time.monotonic() > until:
                    raise LateError
        except OSError as error:
            raise _unreadable(error) from None
    for key in keys:
        if "\n" in key:
            raise InputError(
                f"The name {key!r} in {location.address} has a line break, which no Zarr key has; remove it."
            )
    return sorted(key for key in keys if about or not is_about(key))


def object_status(location: Location, key: str) -> os.stat_result:
    """Look at a file of a store; a symbolic link is followed, if the policy allows the place that it leads to.

    Raises
    ------
    InputError
        If it is not a regular file, such as a pipe, which would never end.
    PolicyError
        If a symbolic link leads out of what the policy allows.
    """
    try:
        held = hold(path_of(location, key), location.allows, "object")
    except OSError as error:
        raise _unreadable(error) from None
    held.close()
    return held.status


def read_objects(location: Location, keys: Iterable[str], *, md5: bool = False) -> Iterator[Seen]:
    """Read objects whole, and say what was read, in the order of the keys.

    Raises
    ------
    InputError
        If one cannot be read, or is gone by now.
    PolicyError
        If one is a symbolic link to what the policy does not allow.
    ResumableError
        If the server does not answer.
    """
    if location.archive is not None:
        yield from (_seen(key, archive_of(location).pieces(key_in(location, key)), md5) for key in keys)
        return
    if location.is_url:
        keys = list(keys)
        for key, content in zip(keys, contents_of(location, keys), strict=True):
            if content is None:
                raise InputError(f"{location.address}/{key} was removed while the store was being read; try again.")
            yield Seen(key, hashlib.sha256(content).hexdigest(), len(content), _md5(content) if md5 else None)
        return
    piece = memoryview(bytearray(PIECE))
    for key in keys:
        sha256 = hashlib.sha256()
        other = hashlib.md5(usedforsecurity=False) if md5 else None
        size = 0
        try:
            with open_file(path_of(location, key), location.allows, what="object") as file:
                while count := file.readinto(piece):
                    sha256.update(piece[:count])
                    if other is not None:
                        other.update(piece[:count])
                    size += count
        except OSError as error:
            raise _unreadable(error) from None
        yield Seen(key, sha256.hexdigest(), size, None if other is None else other.hexdigest())


def path_of(location: Location, key: str) -> str:
    """Where an object of a store lies on the file system; those of files of another format lie in one folder."""
    folder = location.address if location.foreign is None else location.foreign.folder
    return os.path.join(folder, key)


def zipped_sizes(location: Location) -> dict[str, int]:
    """The objects of a store in a zip file, and their bytes, as its directory says."""
    top = f"{key_in(location)}/".lstrip("/")
    sizes = archive_of(location).sizes()
    return {key[len(top) :]: size for key, size in sizes.items() if key.startswith(top)}


def _seen(key: str, pieces: Iterable[bytes], md5: bool) -> Seen:
    sha256, size = hashlib.sha256(), 0
    other = hashlib.md5(usedforsecurity=False) if md5 else None
    for piece in pieces:
        sha256.update(piece)
        if other is not None:
            other.update(piece)
        size += len(piece)
    return Seen(key, sha256.hexdigest(), size, None if other is None else other.hexdigest())


def _walk(location: Location, below: str = "", links: tuple[str, ...] = ()) -> Iterator[str]:
    """Name the files; a folder that is a symbolic link is looked into, for whoever reads the image does so, too."""

    def stop(error: OSError) -> None:
        raise error

    top = location.child(below).address
    for folder, folders, files in os.walk(top, onerror=stop):
        inner = posixpath.normpath(posixpath.join(below, os.path.relpath(folder, top).replace(os.sep, "/")))
        place = "" if inner == "." else f"{inner}/"
        for name in files:
            yield place + name
        for name in folders:
            if os.path.islink(os.path.join(folder, name)):
                real = location.child(place + name).address
                if real in links:
                    raise InputError(f"{os.path.join(folder, name)} is a symbolic link that leads back to itself.")
                yield from _walk(location, place + name, (*links, real))


def _unreadable(error: OSError) -> InputError:
    return InputError(f"{error.filename} cannot be read: {os.strerror(error.errno or 0)}.")


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
