"""Plates, wells and collections as they are written anew: their images, and the documents of all groups around them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chunkwise.ngff.attributes import clean
from chunkwise.ngff.beside import files_beside, is_plain
from chunkwise.ngff.lenient import settle
from chunkwise.ngff.model import Collection, Plate
from chunkwise.ngff.validation import ome_block
from chunkwise.ngff.zarr_json import read_node
from chunkwise.storage.writer import json_bytes

__all__ = ["Hierarchy"]

#: What groups say, by the kind that the rules know them as.
_SAID = {"plate": "plate", "well": "well", "bioformats2raw": "bioformats2raw.layout", "series": "series"}


@dataclass(frozen=True)
class Hierarchy:
    """A plate, a well or a collection."""

    images: tuple[str, ...]
    """Paths of the images."""
    documents: dict[str, bytes]
    """``zarr.json`` of all groups that are no images, by key; that of the root last."""
    files: tuple[str, ...]
    """Keys of other files, which are copied as they are."""
    state: str
    """Digest of what the files are like."""
    left: tuple[str, ...]
    """Sentences about what stays behind."""

    @classmethod
    def of(cls, store: Plate | Collection) -> Hierarchy:
        """Look at what was opened.

        Raises
        ------
        InputError
            If a folder or a document cannot be read.
        """
        left: list[str] = []
        images: list[str] = []
        for path in _images(store):
            if not is_plain(path):
                left.append(f"The image {path!r} has a name that is no plain path.")
            elif any(f"{path}/".startswith(f"{other}/") or f"{other}/".startswith(f"{path}/") for other in images):
                left.append(f"The image {path} lies inside another one.")
            else:
                images.append(path)
        around = {above for path in images for above in _folders(path)}
        kinds: dict[str, tuple[str, ...]] = dict.fromkeys(around, ())
        if isinstance(store, Plate):
            # Wells without images are groups, too.
            wells = [well.path for well in store.wells if is_plain(well.path)]
            kinds |= {above: () for path in wells for above in _folders(path)}
            kinds |= dict.fromkeys(wells, ("well",)) | {"": ("plate", "bioformats2raw"), "OME": ("series",)}
        else:
            kinds |= {"": ("well",)} if store.kind == "well" else {"": ("bioformats2raw",), "OME": ("series",)}
        documents = {}
        for path in sorted(kinds, reverse=True):  # what lies inside first
            document = _document(store, path, kinds[path], left)
            if document is not None:
                documents[f"{path}/zarr.json".lstrip("/")] = json_bytes(document)
        found, state = files_beside(store.location, set(images), set(kinds), {"zarr.json", *images}, left)
        return cls(tuple(images), documents, found, state, tuple(left))


def _images(store: Plate | Collection) -> list[str]:
    if isinstance(store, Collection):
        return list(store.series)
    return [f"{well.path}/{field}" for well in store.wells for field in well.fields]


def _folders(path: str) -> Iterator[str]:
    """The groups in which an image lies, the store itself included."""
    while path:
        path = posixpath.dirname(path)
        yield path


def _document(store: Plate | Collection, path: str, kinds: tuple[str, ...], left: list[str]) -> dict[str, Any] | None:
    """A group of 0.5 that says what the old one says, mended where that was beyond doubt; None where there is none."""
    node = read_node(store.location.child(path))
    if node is None:
        return None
    old = node.zarr_format == 2
    where = f"{store.location.name}/{path}".rstrip("/")
    block = ome_block(node.attributes, "0.4" if old else "0.5")
    known = (*_SAID.values(), "version")
    ome = {} if old or not isinstance(block, dict) else clean(block, known, where, left)
    for kind in kinds:
        if isinstance(block, dict) and _SAID[kind] in block:
            said = settle(node.location, node.attributes, kind, "0.4" if old else "0.5")[0][_SAID[kind]]
            # ome-zarr-models asks for the version of a plate and of a well here as well.
            ome[_SAID[kind]] = {**said, "version": "0.5"} if isinstance(said, dict) else said
    attributes = clean(node.attributes, ("ome", *known) if old else ("ome",), where, left)
    if ome:
        attributes["ome"] = {"version": "0.5", **ome}
    return {"zarr_format": 3, "node_type": "group", "attributes": attributes}
