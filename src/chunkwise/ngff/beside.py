"""What hangs on an image: label images, tables and other files beside it.

Whoever writes an image anew takes it along. Names in a store are anybody's: what leads out of the store, or has a name
that is no plain path, stays behind, and a sentence says so.
"""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chunkwise.errors import InputError, PolicyError
from chunkwise.files import unreadable
from chunkwise.ngff.attributes import clean
from chunkwise.ngff.model import Image
from chunkwise.ngff.read import open_image
from chunkwise.ngff.zarr_json import read_node
from chunkwise.storage.fingerprint import METADATA_NAMES
from chunkwise.storage.kv import list_keys, read_key
from chunkwise.storage.location import Location
from chunkwise.storage.objects import zipped_sizes

__all__ = ["LARGEST", "OME_XML", "Beside", "files_beside", "is_plain", "within"]

#: Bytes of a file that is copied as it is, at most: a worker holds it in memory.
LARGEST = 256 * 2**20

#: Where the OME-XML of a file lies that an image was made of.
OME_XML: Final = "OME/METADATA.ome.xml"

#: Documents of Zarr groups, which are written anew.
_DOCUMENTS: Final = (*METADATA_NAMES, ".zmetadata")
#: Files that are looked for where nothing can be listed.
_USUAL: Final = (OME_XML, "ro-crate-metadata.json")


def within(location: Location) -> Location:
    """The same place, out of which nothing leads, whatever the policy allows; for files that are copied as they are."""
    return replace(location, boundary=location.address, largest=LARGEST)


def is_plain(key: str) -> bool:
    """Whether a key is a path that means the same everywhere, and stays below the place that it is put at."""
    parts = key.split("/")
    try:
        key.encode()
    except UnicodeError:
        return False
    return key.isprintable() and "\\" not in key and not {"", ".", ".."}.intersection(parts)


@dataclass(frozen=True)
class Beside:
    """What hangs on an image."""

    labels: Mapping[str, Image] = field(default_factory=dict)
    """By their names below ``labels/``."""
    files: tuple[str, ...] = ()
    """Keys of files that are copied as they are, sorted."""
    state: str = ""
    """Digest of the names, sizes and times of all this, by which a run knows that it is still the same."""
    left: tuple[str, ...] = ()
    """Sentences about what stays behind."""

    @classmethod
    def of(cls, image: Image, taken: Collection[str]) -> Beside:
        """Find what hangs on an image.

        Parameters
        ----------
        image : Image
            As it was opened.
        taken : collection of str
            Names of files and folders that what is written of every image needs itself.

        Raises
        ------
        InputError
            If a folder cannot be listed.
        """
        left: list[str] = []
        labels = _labels_of(image, left)
        images = {"": image, **{f"labels/{name}/": one for name, one in labels.items()}}
        arrays = {place + posixpath.normpath(level.path) for place, one in images.items() for level in one.levels}
        groups = {"", "labels", *(f"labels/{name}" for name in labels)}
        needed = {place + name for place in images for name in taken}
        files, state = files_beside(image.location, arrays, groups, needed, left)
        told = json.dumps([state, sorted(labels)])
        return cls(labels, files, hashlib.sha256(told.encode()).hexdigest(), tuple(left))

    def labels_document(self, image: Image) -> dict[str, Any]:
        """The document of the group of the labels."""
        node = read_node(image.location.child("labels"))
        known = {} if node is None else clean(node.attributes, ("ome", "labels", "version"), "labels", [])
        block = {"version": "0.5", "labels": list(self.labels)}
        return {"zarr_format": 3, "node_type": "group", "attributes": {**known, "ome": block}}


def files_beside(
    location: Location, arrays: set[str], groups: set[str], needed: set[str], left: list[str]
) -> tuple[tuple[str, ...], str]:
    """List the files of a store that are copied as they are.

    Parameters
    ----------
    location : Location
        Of the store.
    arrays : set of str
        Paths of what is written in another way, and is not looked into.
    groups : set of str
        Paths of groups whose documents are written anew.
    needed : set of str
        Keys of files and folders that are written.
    left : list of str
        Sentences about what stays behind are added to it.

    Returns
    -------
    tuple of str, str
        The keys, sorted; and a digest of what tells that the files are still the same.

    Raises
    ------
    InputError
        If a folder cannot be listed.
    """
    ours = {f"{group}/{name}".lstrip("/") for group in groups for name in _DOCUMENTS}
    found: dict[str, str] = {}
    for key, state in _listed(location, arrays, left):
        if key in ours:
            continue
        if posixpath.basename(key).endswith(".tmp"):
            left.append(f"{key!r} is a temporary file by its name.")
        elif not is_plain(key):
            left.append(f"{key!r} has a name that is no plain path.")
        elif needed.intersection(_above(key)) or any(one.startswith(f"{key}/") for one in needed):
            left.append(f"{key} has a place that the image itself needs.")
        else:
            found[key] = state
    told = json.dumps(sorted(found.items()))
    return tuple(sorted(found)), hashlib.sha256(told.encode()).hexdigest()


def _above(key: str) -> Iterator[str]:
    """A key, and the folders in which it lies."""
    while key:
        yield key
        key = posixpath.dirname(key)


def _labels_of(image: Image, left: list[str]) -> dict[str, Image]:
    """Open the label images that lie in the store."""
    found: dict[str, Image] = {}
    top = f"{image.location.address}/"
    for name in sorted(image.labels):  # a name before those that lie below it
        where = f"labels/{name}"
        if not is_plain(name) or posixpath.basename(name) in _DOCUMENTS:
            left.append(f"The label image {where!r} has a name that is no plain path.")
            continue
        if any(f"{name}/".startswith(f"{other}/") for other in found):
            left.append(f"The label image {where} lies inside another one.")
            continue
        try:
            labels = open_image(image.location.child("labels").child(name))
            places = [labels.location, *(labels.location.child(level.path) for level in labels.levels)]
        except (InputError, PolicyError) as error:
            left.append(f"The label image {where} cannot be opened: {error}")
            continue
        if not all(place.address.startswith(top) for place in places):
            left.append(f"The label image {where} is a link out of the store.")
        elif labels.kind != "labels":
            left.append(f"{where} is no label image.")
        else:
            found[name] = labels
    return {name: found[name] for name in image.labels if name in found}


def _listed(location: Location, arrays: set[str], left: list[str]) -> Iterator[tuple[str, str]]:
    """Name the files of a store but those of its arrays, and what tells that each is still the same."""
    if location.archive is not None:
        listed = [(key, str(size)) for key, size in zipped_sizes(location).items()]
    elif location.s3 is not None:
        listed = [(key, "") for key in list_keys(location)]
    elif location.is_url:
        left.append(
            "A web server cannot say what else lies beside the image, so only its labels and OME-XML are taken."
        )
        yield from ((key, "") for key in _USUAL if read_key(location, key) is not None)
        return
    else:
        yield from _walk(location, arrays, left)
        return
    for key, state in listed:
        if not any(key.startswith(f"{array}/") for array in arrays):
            yield key, state


def _walk(location: Location, arrays: set[str], left: list[str]) -> Iterator[tuple[str, str]]:
    """The same of a folder; links to folders are not followed, and chunks of the arrays not looked at."""

    def stop(error: OSError) -> None:
        raise unreadable(str(error.filename), error, "folder")

    for folder, folders, names in os.walk(location.address, onerror=stop):
        inner = os.path.relpath(folder, location.address)
        place = "" if inner == "." else f"{inner}/"
        below = []
        for name in sorted(folders):
            if place + name in arrays:
                continue
            if os.path.islink(os.path.join(folder, name)):
                left.append(f"{place}{name} is a link to a folder.")
            else:
                below.append(name)
        folders[:] = below
        for name in sorted(names):
            try:
                status = os.stat(os.path.join(folder, name), follow_symlinks=False)
            except OSError as error:
                raise unreadable(os.path.join(folder, name), error) from None
            yield place + name, f"{status.st_size}:{status.st_mtime_ns}"
