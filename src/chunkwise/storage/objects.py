"""The objects of a store: which there are, how large they are, and what every one holds, read once."""

from __future__ import annotations

import hashlib
import os
import posixpath
import stat
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from chunkwise.errors import InputError
from chunkwise.storage.kv import contents_of, list_keys
from chunkwise.storage.location import Location

__all__ = ["Seen", "is_about", "object_keys", "object_path", "read_objects"]

#: Bytes that are read and hashed at a time.
PIECE = 2**20


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


def object_keys(location: Location, *, about: bool = False) -> list[str]:
    """List the objects of a store, sorted; those that only speak about it (``ro-crate-*``) with ``about`` alone.

    Raises
    ------
    InputError
        If the store, or a folder in it, cannot be listed, as on a web server; or if a name has a line break, with which
        one object could pass for two.
    PolicyError
        If a folder is a symbolic link to what the policy does not allow.
    ResumableError
        If the server does not answer.
    """
    if location.is_url:
        if location.s3 is None:
            raise InputError(
                f"{location.address} is on a web server, which cannot list what it has; use --fingerprint none, by "
                "which only its metadata are recognised."
            )
        keys = list_keys(location)
    else:
        try:
            keys = list(_walk(location))
        except OSError as error:
            raise _unreadable(error) from None
    for key in keys:
        if "\n" in key:
            raise InputError(
                f"The name {key!r} in {location.address} has a line break, which no Zarr key has; remove it."
            )
    return sorted(key for key in keys if about or not is_about(key))


def object_path(location: Location, key: str) -> str:
    """Where a file of a store is; a symbolic link is followed, if the policy allows the place that it leads to.

    Raises
    ------
    InputError
        If it is no plain file, such as a pipe, which would never end.
    PolicyError
        If a symbolic link leads out of what the policy allows.
    """
    path = os.path.join(location.address, key)
    if os.path.islink(path):
        path = location.child(key).address  # a digest tells of what it is a digest
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise _unreadable(error) from None
    if not stat.S_ISREG(mode):
        raise InputError(f"{path} is not a regular file, so it cannot be part of a store.")
    return path


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
    if location.is_url:
        keys = list(keys)
        for key, content in zip(keys, contents_of(location, keys), strict=True):
            if content is None:
                raise InputError(f"{location.address}/{key} was removed while the store was looked at; try again.")
            yield Seen(key, hashlib.sha256(content).hexdigest(), len(content), _md5(content) if md5 else None)
        return
    piece = memoryview(bytearray(PIECE))
    for key in keys:
        sha256 = hashlib.sha256()
        other = hashlib.md5(usedforsecurity=False) if md5 else None
        size = 0
        try:
            with open(object_path(location, key), "rb", buffering=0) as file:
                while count := file.readinto(piece):
                    sha256.update(piece[:count])
                    if other is not None:
                        other.update(piece[:count])
                    size += count
        except OSError as error:
            raise _unreadable(error) from None
        yield Seen(key, sha256.hexdigest(), size, None if other is None else other.hexdigest())


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
