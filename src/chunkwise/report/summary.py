"""What a store is, as JSON: the reference's description with sizes, codecs and the validation's remarks."""

from __future__ import annotations

import os
from math import prod
from typing import Any

import numpy as np

from chunkwise.errors import ChunkwiseError
from chunkwise.ngff.emptiness import say_empty, share_of
from chunkwise.ngff.model import Finding, Image, Plate, Store
from chunkwise.ngff.read import open_image
from chunkwise.reference import describe, kind_of
from chunkwise.storage.location import Location
from chunkwise.storage.objects import zipped_sizes

__all__ = ["headline", "size_text", "summarise"]

#: Files of a local store that are counted before it is called too many to count.
MOST_FILES = 50_000


def summarise(store: Store) -> dict[str, Any]:
    """Summarise a store in JSON values.

    Parameters
    ----------
    store : Store
        As :func:`chunkwise.ngff.read.open_store` returns it.

    Returns
    -------
    dict
        ``location``, ``root``, ``kind``, the keys of :func:`chunkwise.reference.describe`, ``findings``; of an
        image also, for every level, ``bytes`` (of its voxels) and ``stored_bytes`` and ``stored_files`` (on
        disk; null for a remote store or one of very many files), ``chunks_found`` of ``chunks_looked_for`` (all
        chunks, or some of very many; null where a server does not tell), what each label image is, and
        ``warnings`` of levels without a chunk.
    """
    content: dict[str, Any] = {"location": store.location.relative, "root": store.location.root}
    content["kind"] = kind_of(store)
    content |= describe(store)
    missing: list[str] = []
    if isinstance(store, Image):
        for level, entry in zip(store.levels, content["levels"], strict=True):
            entry["bytes"] = prod(level.shape) * np.dtype(level.dtype).itemsize
            entry["stored_bytes"], entry["stored_files"] = _stored(store.location.child(level.path))
            entry["zarr_format"] = level.zarr_format
            share = share_of(store, level.path)
            entry["chunks_found"] = None if share is None else share.found
            entry["chunks_looked_for"] = None if share is None else share.looked_for
            empty = say_empty(store, level.path, share)
            if empty is not None and empty not in missing:
                missing.append(empty)
        content["bytes"] = sum(entry["bytes"] for entry in content["levels"])
        stored = [entry["stored_bytes"] for entry in content["levels"]]
        content["stored_bytes"] = None if None in stored else sum(stored)
        if store.location.foreign is not None:
            content["format"] = stored_as(store)
        content["warnings"] = missing
        content["labels"] = [_label(store, name) for name in store.labels]
    content["findings"] = _finding_dicts(store.findings)
    return content


def _finding_dicts(findings: tuple[Finding, ...]) -> list[dict[str, str]]:
    """Return findings as JSON values."""
    return [{"severity": f.severity, "where": f.where, "message": f.text} for f in findings]


def _label(image: Image, name: str) -> dict[str, Any]:
    """Describe one label image; a damaged one is a remark, for the image itself is whole."""
    try:
        label = open_image(image.location.child("labels").child(name))
    except ChunkwiseError as error:
        return {"name": name, "error": str(error)}
    first = label.levels[0]
    return {"name": name, "shape": list(first.shape), "dtype": first.dtype, "levels": len(label.levels)}


def _stored(location: Location) -> tuple[int | None, int | None]:
    if location.archive is not None:
        sizes = zipped_sizes(location)
        return sum(sizes.values()), len(sizes)
    if location.is_url or location.foreign is not None:  # whose levels lie in one file
        return None, None
    size = count = 0
    for folder, _, files in os.walk(location.address):
        count += len(files)
        if count > MOST_FILES:
            return None, None
        for name in files:
            try:
                size += os.lstat(os.path.join(folder, name)).st_size
            except OSError:
                continue  # it went away while it was looked at
    return size, count


def headline(store: Store, place: str | None = None) -> str:
    """Say in one line what a store is.

    Parameters
    ----------
    store : Store
        As :func:`chunkwise.ngff.read.open_store` returns it.
    place : str, optional
        What to call its place, where that is not its address.
    """
    place = place or store.location.address
    if isinstance(store, Image):
        first = store.levels[0]
        size = ", ".join(f"{axis.name} {n}" for axis, n in zip(store.axes, first.shape, strict=True))
        what = "Label image" if store.kind == "labels" else "Image"
        levels = _counted(len(store.levels), "level")
        return f"{what} {place}: {size} ({first.dtype}), {levels}, {stored_as(store)}."
    if isinstance(store, Plate):
        fields = sum(len(well.fields) for well in store.wells)
        size = f"{_counted(len(store.wells), 'well')}, {_counted(fields, 'field')}"
        return f"Plate {place}: {size}, OME-Zarr {store.version}."
    what, part = ("Well", "field") if store.kind == "well" else ("Collection", "image")
    return f"{what} {place}: {_counted(len(store.series), part)}, OME-Zarr {store.version}."


def stored_as(image: Image) -> str:
    """What an image is stored as, such as ``OME-Zarr 0.5`` or ``TIFF``."""
    foreign = image.location.foreign
    return f"OME-Zarr {image.version}" if foreign is None else foreign.media_type.partition("/")[2].upper()


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def size_text(size: int | None) -> str:
    """Say a number of bytes to people, such as ``2.3 GiB``."""
    if size is None:
        return "not counted"
    number, units = float(size), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while number >= 1024 and len(units) > 1:
        number /= 1024
        units.pop(0)
    return f"{number:.0f} {units[0]}" if units[0] == "bytes" else f"{number:.1f} {units[0]}"
