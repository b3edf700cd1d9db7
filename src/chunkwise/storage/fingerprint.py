"""Fingerprints: short values that tell whether a store's bytes are still the same.

========  =====================================================================
metadata  of names and sha256 of metadata documents (asked for as ``none``)
stat      of names, sizes and modification times of every object; on S3 of names
          and the server's tags, which are not those of a file; of a store in a zip
          file of that file's size and time alone
sample    of names and sizes of every object, and of the sha256 of a sample
full      of names and sha256 of every object
========  =====================================================================

Of a store in a zip file the entries are the objects, so that all levels but ``stat`` say the same of it as of
the folder that it was made of. Web servers cannot list what they have: there only metadata are to be had. The
sample is all metadata documents and, of the other objects, those whose names have the lowest sha256: the same
in every copy of a store, and not to be foreseen from where in the image an object lies.

A manifest has one line an object, ``value  key``, sorted by key; the fingerprint is the sha256 of
the manifest. It does not depend on the order in which objects were written.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from chunkwise.errors import InputError
from chunkwise.storage.kv import read_key, tags_of
from chunkwise.storage.location import Location
from chunkwise.storage.objects import LateError, object_keys, object_status, read_objects, zipped_sizes

__all__ = ["ALGORITHM", "METADATA_NAMES", "SAMPLE", "documents_digest", "fingerprint", "manifest_digest"]

METADATA_NAMES = ("zarr.json", ".zgroup", ".zattrs", ".zarray")
ALGORITHM = "sha256-manifest"

#: Objects that a sample reads beside all metadata documents.
SAMPLE = 256


def manifest_digest(entries: Iterable[tuple[str, str]]) -> str:
    """Digest of a manifest.

    Parameters
    ----------
    entries : iterable of (key, value)
        Keys are paths inside the store with ``/``; values are what stands for the object.
    """
    digest = hashlib.sha256()
    for key, value in sorted(entries):
        digest.update(f"{value}  {key}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def documents_digest(location: Location, paths: Iterable[str]) -> str:
    """Digest of the metadata documents of groups and arrays: the value of level ``metadata``.

    Raises
    ------
    InputError
        If one cannot be read.
    PolicyError
        If one is a symbolic link to what the policy does not allow.
    """
    entries = []
    for path in paths:
        for name in METADATA_NAMES:
            key = f"{path}/{name}" if path else name
            content = read_key(location, key)
            if content is not None:
                entries.append((key, hashlib.sha256(content).hexdigest()))
    return manifest_digest(entries)


def fingerprint(
    location: Location,
    level: str,
    paths: Iterable[str] = ("",),
    *,
    sample: int = SAMPLE,
    advance: Callable[[int], None] | None = None,
    until: float | None = None,
) -> dict[str, Any]:
    """Fingerprint a store.

    Parameters
    ----------
    location : Location
        The store.
    level : {"none", "stat", "sample", "full"}
        ``none`` still covers the metadata documents of ``paths``.
    paths : iterable of str
        Groups and arrays inside the store whose metadata documents count at level ``none``.
    sample : int
        Objects that level ``sample`` reads beside the metadata documents.
    advance : callable, optional
        Called with the number of objects whenever one of them is done.
    until : float, optional
        Time of :func:`time.monotonic` at which it is given up.

    Returns
    -------
    dict
        ``level`` (``metadata``, ``stat``, ``sample`` or ``full``), ``algorithm`` and ``value``; of a sample also
        ``sample``, the number of objects.

    Raises
    ------
    InputError
        If objects cannot be read, or a store on a web server is asked for more than its metadata.
    PolicyError
        If an object is a symbolic link to what the policy does not allow.
    LateError
        If the time is over.
    """
    if level == "none":
        return {"level": "metadata", "algorithm": ALGORITHM, "value": documents_digest(location, paths)}
    if location.archive is not None:
        if location.is_url and level == "stat":
            raise InputError(f"{location.archive} has no time of change that can be read; use another --fingerprint.")
    elif location.is_url and location.s3 is None:
        raise InputError(f"{location.address} is on a web server, which cannot list it; use --fingerprint none.")
    elif location.is_url and level == "sample":
        raise InputError(f"{location.address} is on S3, where sizes are not requested; use --fingerprint stat or full.")
    keys = object_keys(location, until=until)
    value = manifest_digest(_counted(_values(location, level, keys, sample), len(keys), advance, until))
    found = {"level": level, "algorithm": ALGORITHM, "value": value}
    return found | ({"sample": sample} if level == "sample" else {})


def _counted(
    values: Iterator[tuple[str, str]], total: int, advance: Callable[[int], None] | None, until: float | None
) -> Iterator[tuple[str, str]]:
    for value in values:
        if until is not None and time.monotonic() > until:
            raise LateError
        yield value
        if advance is not None:
            advance(total)


def _values(location: Location, level: str, keys: Sequence[str], sample: int) -> Iterator[tuple[str, str]]:
    """What stands for each object; in any order."""
    sizes = zipped_sizes(location) if location.archive is not None else {}
    if level == "stat" and location.archive is not None:
        status = os.stat(location.archive)
        yield "", f"{status.st_size}:{status.st_mtime_ns}"
        return
    if level == "stat" and location.is_url:
        for key, tag in zip(keys, tags_of(location, keys), strict=True):
            if tag is None:
                raise InputError(f"{location.address}/{key} was removed while the store was being read; try again.")
            yield key, tag
        return
    if level == "stat":
        for key in keys:
            status = object_status(location, key)
            yield key, f"{status.st_size}:{status.st_mtime_ns}"
        return
    chosen = set(_sampled(keys, sample)) if level == "sample" else set()
    for seen in read_objects(location, keys if level == "full" else sorted(chosen)):
        yield seen.key, seen.sha256
    if level == "sample":
        for key in keys:
            if key not in chosen:
                size = sizes[key] if key in sizes else object_status(location, key).st_size
                yield key, f"size:{size}"


def _sampled(keys: Sequence[str], count: int) -> list[str]:
    documents = [key for key in keys if posixpath.basename(key) in (*METADATA_NAMES, ".zmetadata")]
    others = set(keys).difference(documents)
    lot = sorted(others, key=lambda key: hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest())
    return documents + lot[:count]
