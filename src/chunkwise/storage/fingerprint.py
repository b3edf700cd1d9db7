"""Fingerprints: short values that tell whether a store's bytes are still the same.

========  =====================================================================
metadata  sha256 of the sorted manifest of metadata documents
stat      of names, sizes and modification times of every object (local stores)
full      of names and sha256 of every object
========  =====================================================================

A manifest has one line an object, ``value  key``, sorted by key; the fingerprint is the sha256 of
the manifest. It does not depend on the order in which objects were written.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

from chunkwise.errors import InputError
from chunkwise.storage.kv import read_key
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
        If objects cannot be read, or a remote store is asked for more than its metadata.
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
    if location.is_url:
        raise InputError(f"{location.address} is remote and cannot be listed; use --fingerprint none.")
    try:
        value = manifest_digest(_entries(location, level))
    except OSError as error:
        raise InputError(f"{error.filename} cannot be read: {os.strerror(error.errno or 0)}.") from None
    return {"level": level, "algorithm": "sha256-manifest", "value": value}


def _entries(location: Location, level: str) -> Iterator[tuple[str, str]]:
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
