"""Fingerprints: short values that tell whether a store's bytes are still the same.

========  =====================================================================
metadata  sha256 of the sorted manifest of metadata documents
stat      of names, sizes and modification times of every object; on S3 of names
          and the server's tags, which are not those of a file
full      of names and sha256 of every object
========  =====================================================================

Web servers cannot list what they have: there only metadata are to be had.

A manifest has one line an object, ``value  key``, sorted by key; the fingerprint is the sha256 of
the manifest. It does not depend on the order in which objects were written.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
from collections.abc import Iterable, Iterator
from typing import Any

from chunkwise.errors import InputError
from chunkwise.storage.kv import contents_of, list_keys, read_key, tags_of
from chunkwise.storage.location import Location

__all__ = ["FINGERPRINT_LEVELS", "METADATA_NAMES", "fingerprint", "manifest_digest"]

FINGERPRINT_LEVELS = ("none", "stat", "full")
METADATA_NAMES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")


def manifest_digest(entries: Iterable[tuple[str, str]]) -> str:
    """Digest of a manifest.

    Parameters
    ----------
    entries : iterable of (key, value)
        Keys are paths inside the store with ``/``; values are what stands for the object.
    """
    digest = hashlib.sha256()
    for key, value in sorted(entries):
        digest.update(f"{value}  {key}\n".encode())
    return digest.hexdigest()


def fingerprint(location: Location, level: str, paths: Iterable[str] = ("",)) -> dict[str, Any]:
    """Fingerprint a store.

    Parameters
    ----------
    location : Location
        The store.
    level : {"none", "stat", "full"}
        ``none`` still covers the metadata documents of ``paths``.
    paths : iterable of str
        Groups and arrays inside the store whose metadata documents count at level ``none``.

    Returns
    -------
    dict
        ``level`` (``metadata``, ``stat`` or ``full``), ``algorithm`` and ``value``.

    Raises
    ------
    InputError
        If objects cannot be read, or a store on a web server is asked for more than its metadata.
    PolicyError
        If an object is a symbolic link to what the policy does not allow.
    """
    if level == "none":
        entries = []
        for path in paths:
            for name in METADATA_NAMES:
                key = f"{path}/{name}" if path else name
                content = read_key(location, key)
                if content is not None:
                    entries.append((key, hashlib.sha256(content).hexdigest()))
        return {"level": "metadata", "algorithm": "sha256-manifest", "value": manifest_digest(entries)}
    if location.is_url and location.s3 is None:
        raise InputError(f"{location.address} is on a web server, which cannot list it; use --fingerprint none.")
    try:
        value = manifest_digest(_objects(location, level) if location.is_url else _files(location, level))
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {os.strerror(error.errno or 0)}.") from None
    return {"level": level, "algorithm": "sha256-manifest", "value": value}


def _objects(location: Location, level: str) -> Iterator[tuple[str, str]]:
    keys = [key for key in list_keys(location) if not posixpath.basename(key).startswith("ro-crate-")]
    if level == "stat":
        values: Iterator[str | None] = tags_of(location, keys)
    else:
        contents = contents_of(location, keys)
        values = (None if content is None else hashlib.sha256(content).hexdigest() for content in contents)
    for key, value in zip(keys, values, strict=True):
        if value is None:
            raise InputError(f"{location.address}/{key} was removed while the store was looked at; try again.")
        yield key, value


def _files(location: Location, level: str) -> Iterator[tuple[str, str]]:
    top = location.address
    for folder, folders, files in os.walk(top):
        folders.sort()
        for name in files:
            if name.startswith("ro-crate-"):
                continue
            path = os.path.join(folder, name)
            key = os.path.relpath(path, top).replace(os.sep, "/")
            if os.path.islink(path):
                path = location.child(key).address  # a digest tells of what it is a digest
            if level == "stat":
                status = os.stat(path)
                yield key, f"{status.st_size}:{status.st_mtime_ns}"
            else:
                with open(path, "rb") as file:
                    yield key, hashlib.file_digest(file, "sha256").hexdigest()
