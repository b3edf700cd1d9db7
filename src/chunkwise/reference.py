"""The reference: a small JSON that stands for a store, and travels through Galaxy in its place.

It says where the store is, what it is, by what it can be recognised, and which runs led to it. What
it says is never trusted: the place goes through the policy again at every use, and the store is read
and validated again; the description is for people and for choosing among references.

:func:`open_input` is the one door of every command: what a person typed may be a path or URL of a
store, or the path of a reference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunkwise.errors import InputError, PolicyError
from chunkwise.files import read_file
from chunkwise.formats.in_place import open_in_place
from chunkwise.ngff.model import Collection, Image, Plate, Store
from chunkwise.ngff.read import open_image, open_store
from chunkwise.site import Site
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.outputs import write_atomically

__all__ = [
    "KINDS",
    "OpenedInput",
    "Reference",
    "check_usable",
    "describe",
    "kind_of",
    "locate",
    "make_reference",
    "metadata_paths",
    "open_image_input",
    "open_input",
    "read_reference",
    "resolve_named",
]

MARK = "chunkwise_reference"
FORMAT = 1
KINDS = ("image", "labels", "plate", "well", "bioformats2raw", "table")

#: No reference comes near it; a larger file is something else, and is not read whole.
LARGEST = 64 * 2**20


@dataclass(frozen=True)
class Reference:
    """Where a store is, what it is, and how it came about."""

    kind: str
    """One of :data:`KINDS`."""
    place: str
    """Absolute path or URL; below the root where one is named."""
    root: str | None
    """Name of the site's root."""
    description: dict[str, Any] = field(default_factory=dict)
    """As :func:`describe` returns it."""
    fingerprint: dict[str, Any] = field(default_factory=dict)
    """``level``, ``algorithm`` and ``value``."""
    records: tuple[dict[str, Any], ...] = ()
    """Run records, the oldest first."""

    @property
    def location_text(self) -> str:
        """What :func:`chunkwise.storage.location.resolve` understands."""
        return self.place if self.root is None else f"{self.root}:{self.place}"

    def to_json(self) -> str:
        """Return the JSON text, the same for the same reference."""
        store: dict[str, Any] = {"url" if "://" in self.place else "path": self.place}
        if self.root is not None:
            store = {"root": self.root, "path": self.place}
        content = {
            MARK: FORMAT,
            "kind": self.kind,
            "store": store,
            "description": self.description,
            "fingerprint": self.fingerprint,
            "records": list(self.records),
        }
        return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Reference:
        """Read the JSON text, which anybody may have written.

        Raises
        ------
        InputError
            If it is no reference, or one that this chunkwise does not know.
        """
        try:
            content = parse_json(text, finite=True)
        except (ValueError, RecursionError):
            raise InputError("This is not JSON, so it is not a reference.") from None
        if not isinstance(content, dict) or MARK not in content:
            raise InputError(f"This is not a chunkwise reference: the key '{MARK}' is missing.")
        if content[MARK] != FORMAT:
            raise InputError(
                f"The reference has the version {content[MARK]!r}; this chunkwise reads version {FORMAT}, "
                "so use a newer chunkwise."
            )
        unknown = set(content) - {MARK, "kind", "store", "description", "fingerprint", "records"}
        if unknown:
            raise InputError(f"The reference has an unknown key {min(unknown)!r}.")
        kind, records = content.get("kind"), content.get("records", [])
        if kind not in KINDS:
            raise InputError(f"The reference has the kind {kind!r}, which has to be one of {', '.join(KINDS)}.")
        if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
            raise InputError("The records in the reference have to be a list of objects.")
        for key in ("description", "fingerprint"):
            if not isinstance(content.get(key, {}), dict):
                raise InputError(f"The {key} in the reference has to be an object.")
        place, root = _read_place(content.get("store"))
        return cls(kind, place, root, content.get("description", {}), content.get("fingerprint", {}), tuple(records))

    def write(self, path: Path | str) -> None:
        """Write it as a file, whole or not at all.

        Raises
        ------
        InputError
            If the file exists already, or its folder does not.
        """
        write_atomically(path, self.to_json().encode())


def _read_place(store: object) -> tuple[str, str | None]:
    if not isinstance(store, dict) or not all(isinstance(value, str) and value for value in store.values()):
        raise InputError("The store in the reference has to be an object with a path or a url.")
    keys = set(store)
    if keys == {"root", "path"}:
        return store["path"], store["root"]
    if keys == {"url"} and "://" in store["url"]:
        return store["url"], None
    if keys == {"path"} and os.path.isabs(store["path"]):
        return store["path"], None
    raise InputError("The store in the reference needs an absolute path, or a root and a path below it, or a url.")


def read_reference(path: Path | str) -> Reference | None:
    """Read a reference from a file; None where the file is none.

    Raises
    ------
    InputError
        If it says that it is a reference, and is a damaged one.
    """
    try:
        if not os.path.isfile(path) or os.path.getsize(path) > LARGEST:
            return None
        content = read_file(path, largest=LARGEST)
    except (OSError, ValueError, InputError):
        return None
    if not content.lstrip().startswith(b"{") or MARK.encode() not in content:
        return None
    try:
        return Reference.from_json(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def make_reference(store: Store, fingerprint: dict[str, Any], records: Sequence[dict[str, Any]] = ()) -> Reference:
    """Refer to an opened store.

    Parameters
    ----------
    store : Store
        As :func:`chunkwise.ngff.read.open_store` returns it.
    fingerprint : dict
        As :func:`chunkwise.storage.fingerprint.fingerprint` returns it.
    records : sequence of dict
        JSON forms of the run records that led to the store, the oldest first.
    """
    location = store.location
    return Reference(
        kind_of(store), location.relative, location.root, describe(store), dict(fingerprint), tuple(records)
    )


def kind_of(store: Store) -> str:
    """Return which of :data:`KINDS` a store is."""
    if isinstance(store, Image):
        return store.kind
    return "plate" if isinstance(store, Plate) else store.kind


def describe(store: Store) -> dict[str, Any]:
    """Describe a store in JSON values.

    Returns
    -------
    dict
        Of an image: ``name``, ``version``, ``shape`` and ``dtype`` of the full resolution, ``axes`` (each
        with name, type and unit), ``scale`` and ``translation`` (units of the axes), ``levels`` (each with
        path, shape, chunks, shards, codecs, scale and translation), ``channels``, ``labels``.
        Of a plate: ``name``, ``version``, ``rows``, ``columns``, ``wells``. Of a well or a collection: ``version``, and
        ``series``, the paths of its images.
    """
    if isinstance(store, Collection):
        return {"version": store.version, "series": list(store.series)}
    if isinstance(store, Plate):
        return {
            "name": store.name,
            "version": store.version,
            "rows": list(store.rows),
            "columns": list(store.columns),
            "wells": [_fields(well, "path", "row", "column", "fields") for well in store.wells],
        }
    first = store.levels[0]
    return {
        "name": store.name,
        "version": store.version,
        "shape": list(first.shape),
        "dtype": first.dtype,
        "axes": [_fields(axis, "name", "type", "unit") for axis in store.axes],
        "scale": list(first.scale),
        "translation": list(first.translation),
        "levels": [
            _fields(level, "path", "shape", "chunks", "shards", "codecs", "scale", "translation")
            for level in store.levels
        ],
        "channels": [_fields(channel, "index", "name", "color", "window") for channel in store.channels],
        "labels": list(store.labels),
    }


def _fields(one: Any, *names: str) -> dict[str, Any]:
    """Some fields of something, as JSON has them."""
    values = {name: getattr(one, name) for name in names}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def metadata_paths(store: Store) -> tuple[str, ...]:
    """List the groups and arrays whose metadata say what the store is, for its fingerprint."""
    if isinstance(store, Image):
        return ("", *(level.path for level in store.levels))
    if isinstance(store, Plate):
        return ("", *(well.path for well in store.wells))
    return ("", *(("OME",) if store.kind == "bioformats2raw" else ()), *store.series)


@dataclass(frozen=True)
class OpenedInput:
    """A store that a person named, with what is known of how it came about."""

    location: Location
    store: Store
    records: tuple[dict[str, Any], ...] = ()
    reference: Reference | None = None
    """None where a path or URL was given."""

    @property
    def image(self) -> Image:
        """The store as an image; :func:`open_image_input` makes sure that it is one."""
        if not isinstance(self.store, Image):
            raise InputError(f"{self.location.address} is not a single image.")
        return self.store


def open_input(text: str, site: Site | None, *, user_text: bool = False, in_place: bool = False) -> OpenedInput:
    """Open what a person named: a store by path or URL, or a reference by the path of its file.

    Parameters
    ----------
    text : str
        As typed.
    site : Site or None
        The administrator's file.
    user_text : bool
        Whether a user of a service typed it into a form: then it is judged as a place found in a file, and not taken
        for the path of a reference.
    in_place : bool
        Whether a file of another format is read where it lies, as the image that it would be; else it is refused, with
        the command that brings it in.

    Raises
    ------
    InputError
        If it is neither, or chunkwise cannot work on it.
    PolicyError
        If the policy does not allow the place; a place named in a reference is judged as one found in a file.
    """
    location, reference = (resolve(text, site, typed=False), None) if user_text else locate(text, site)
    file = open_in_place(location, text) if in_place and reference is None else None
    if file is not None:
        return OpenedInput(file.location, file)
    store = open_store(location)
    return OpenedInput(location, store, () if reference is None else reference.records, reference)


def open_image_input(text: str, site: Site | None) -> OpenedInput:
    """Open what a person named, as :func:`open_input`, insisting on one image or label image; files in place.

    Raises
    ------
    InputError
        Also where it is a plate or a collection of several images; their paths are listed.
    PolicyError
        As :func:`open_input`.
    """
    location, reference = locate(text, site)
    image = open_in_place(location, text) or open_image(location)
    return OpenedInput(image.location, image, () if reference is None else reference.records, reference)


def check_usable(reference: Reference, site: Site | None) -> None:
    """Refuse a reference that could not be opened again where a site file rules.

    Raises
    ------
    PolicyError
        If it names a place that only Galaxy itself may hand over, such as one of its datasets.
    """
    if site is None:
        return
    try:
        resolve(reference.location_text, site, typed=False)
    except PolicyError:
        raise PolicyError(
            f"{reference.place} is a place that no reference may name on this site, such as a Galaxy dataset; give "
            "the dataset itself to the tools that follow."
        ) from None


def locate(text: str, site: Site | None) -> tuple[Location, Reference | None]:
    """Find where the store is that a person named by path, URL or reference; it is not opened.

    Raises
    ------
    InputError
        If it is a reference to a table.
    PolicyError
        If the policy does not allow the place.
    """
    # The reference itself is not held to the policy: Galaxy keeps it among its own datasets, and a file
    # that is no reference is not looked at further. The place that it names is.
    reference = read_reference(text)
    if reference is None:
        return resolve(text, site), None
    if reference.kind == "table":
        raise InputError(f"{text} refers to a table, and an image is needed here.")
    return resolve_named(reference.place, reference.root, site, text), reference


def resolve_named(place: str, root: str | None, site: Site | None, source: str) -> Location:
    """Decide whether a place may be used that a reference, a record or a crate names.

    Parameters
    ----------
    place : str
        Absolute path or URL; below the root where one is named.
    root : str or None
        Name of a root.
    site : Site or None
        The administrator's file.
    source : str
        The file that names it, for the error.

    Raises
    ------
    PolicyError
        If the policy does not allow it, or there is no such root here.
    """
    if root is None:
        return resolve(place, site, typed=False)
    if site is None or not site.names_root(root):
        where = "this machine has no site file" if site is None else f"{site.file} has no such root for you"
        raise PolicyError(f"{source} names the root '{root}', but {where}; ask your administrator.")
    return resolve(f"{root}:{place}", site, typed=False)
