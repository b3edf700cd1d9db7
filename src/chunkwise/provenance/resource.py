"""What a run reads and writes: a resource of the run record, and the identity that it keeps between runs."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path, PurePosixPath
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.provenance.fields import (
    Json,
    check_time,
    json_object,
    json_text,
    optional_object,
    optional_size,
    optional_text,
    plain,
)
from chunkwise.storage.location import Location

__all__ = ["KINDS", "STORES", "URN", "Resource", "identity_of", "make_resource", "names_of", "without_nothing"]

STORES: Final = ("image", "labels", "plate", "well", "bioformats2raw")
KINDS: Final = (*STORES, "table", "picture", "page", "reference", "crate", "summary")

#: What a kind or a file's ending is called; the ending decides first.
MEDIA_TYPES: Final = {
    ".tsv": "text/tab-separated-values",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".geojson": "application/geo+json",
    ".png": "image/png",
    ".html": "text/html",
    ".json": "application/json",
    ".zip": "application/zip",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    **dict.fromkeys(STORES, "application/vnd.zarr"),
    "table": "text/tab-separated-values",
    "picture": "image/png",
    "page": "text/html",
    "reference": "application/json",
    "summary": "application/json",
    "crate": "application/zip",
}

URN: Final = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMESPACE = uuid.UUID("6f2a7d0e-6b0c-5d0a-9c5e-0d9a4c1e7b52")
_GALAXY_DATASET = re.compile(r"\bdataset_[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_files(/.*)?$")


@dataclass(frozen=True)
class Resource:
    """Something a run read or wrote, described where it lies; it is never copied."""

    name: str
    """The parameter it was given for: ``image``, ``labels``, ``output``, ``table``, ..."""
    kind: str
    """One of :data:`KINDS`."""
    location: str
    """Path or URL; below the root where one is named."""
    identity: str
    """``urn:uuid:...``, the same in every record that speaks of these bytes."""
    root: str | None = None
    """Name of the site's root, if any."""
    media_type: str = "application/octet-stream"
    """The ``encodingFormat`` of the crate."""
    fingerprint: dict[str, Json] | None = None
    """``level``, ``algorithm`` and ``value``, all text."""
    size: int | None = None
    """Stored bytes."""
    modified: str | None = None
    """ISO 8601 with time zone."""
    description: dict[str, Json] = field(default_factory=dict)
    """Such as shape, axes, scale, units, dtype, levels."""
    checked: dict[str, Json] | None = None
    """Of what a run read: by what it was held to stay the same in this very run; see :meth:`checks`."""

    @property
    def checks(self) -> str | None:
        """By what it was held to stay the same in the run that read it, in words; None where that is not known."""
        if self.checked is None:
            return None
        words = {"compared": "fingerprint compared", "handed on": "fingerprint handed on by a reference, not compared"}
        first = words.get(str(self.checked.get("fingerprint")), "fingerprint taken")
        objects, compared, of = (self.checked.get(key) for key in ("objects", "compared", "of"))
        when = self.checked.get("at")
        at = ", ".join(map(str, when)) if isinstance(when, list) else ""
        if not of:
            return f"{first}; its {objects} objects not compared"
        return f"{first}; {of} of {compared} of {objects} objects compared ({at})"

    @property
    def short_name(self) -> str:
        """The end of the location: the store, and what lies in it where the location goes on."""
        parts = PurePosixPath(self.location).parts
        for position in range(len(parts) - 1, -1, -1):
            if parts[position].lower().endswith(".zarr"):
                return "/".join(parts[position:])
        return parts[-1] if parts else self.location

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form; what is not known is left out."""
        return without_nothing({item.name: getattr(self, item.name) for item in fields(self)})

    @classmethod
    def from_dict(cls, content: object) -> Resource:
        """Read the JSON form.

        Raises
        ------
        InputError
            If a key is missing, unknown, or has a value of the wrong type.
        """
        what = "A resource in the run record"
        entry = json_object(
            content,
            what,
            required=("name", "kind", "location", "identity"),
            known=names_of(cls),
        )
        resource = cls(
            name=json_text(entry, "name", what),
            kind=json_text(entry, "kind", what),
            location=json_text(entry, "location", what),
            identity=json_text(entry, "identity", what),
            root=optional_text(entry, "root", what),
            media_type=json_text(entry, "media_type", what) if "media_type" in entry else cls.media_type,
            fingerprint=optional_object(entry, "fingerprint", what),
            size=optional_size(entry, "size", what),
            modified=optional_text(entry, "modified", what),
            description=optional_object(entry, "description", what) or {},
            checked=optional_object(entry, "checked", what),
        )
        if resource.kind not in KINDS:
            raise InputError(f"{what} has the kind '{resource.kind}', which has to be one of {', '.join(KINDS)}.")
        if not URN.fullmatch(resource.identity):
            raise InputError(f"{what} has the identity '{resource.identity}', which has to be a urn:uuid.")
        if resource.modified is not None:
            check_time(resource.modified, what)
        if resource.fingerprint is not None:
            for key in ("level", "algorithm", "value"):
                json_text(resource.fingerprint, key, "A fingerprint in the run record")
        return resource


def identity_of(
    location: str,
    root: str | None = None,
    fingerprint: Mapping[str, Json] | None = None,
) -> str:
    """Return a ``urn:uuid`` that is the same whenever the same data are named.

    A fingerprint of level ``full`` covers every byte, so that it alone is the identity, wherever the
    data lie. Anything weaker could be equal for different images and counts only together with the place.

    Of a dataset of Galaxy, the place is the UUID that Galaxy gave it: the folder moves when the job that
    made it ends, and the run that reads it must name the same data as the run that wrote it.
    """
    dataset = _GALAXY_DATASET.search(location)
    if dataset is not None:
        return f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(['galaxy', dataset.group().rstrip('/')]))}"
    key: list[Json] = []
    if fingerprint is not None:
        key = [fingerprint.get("algorithm"), fingerprint.get("value")]
    if fingerprint is None or fingerprint.get("level") != "full":
        key = [root, location, *key]
    return f"urn:uuid:{uuid.uuid5(_NAMESPACE, json.dumps(key))}"


def make_resource(name: str, kind: str, location: Location | Path | str, known: dict[str, Any]) -> Resource:
    """Describe something by what is known of it; what can be worked out from the place and the kind is filled in."""
    if isinstance(location, Location):
        known.setdefault("root", location.root)
        location = location.relative
    elif known.get("root") is None and "://" not in str(location):
        location = os.path.abspath(location)  # the record is read elsewhere, where another folder is the current one
    fingerprint = known.get("fingerprint")
    if fingerprint is not None and fingerprint.get("level") == "none":
        fingerprint = known["fingerprint"] = None
    if known.get("media_type") is None:
        by_kind = MEDIA_TYPES.get(kind, "application/octet-stream")
        suffix = Path(str(location)).suffix.lower()
        # A store in a zip file is a store.
        known["media_type"] = by_kind if kind in STORES and suffix == ".zip" else MEDIA_TYPES.get(suffix, by_kind)
    if known.get("identity") is None:
        known["identity"] = identity_of(str(location), known.get("root"), fingerprint)
    for key in ("fingerprint", "description"):
        if known.get(key) is not None:
            known[key] = plain(dict(known[key]), key)
    return Resource.from_dict(Resource(name=name, kind=kind, location=str(location), **known).to_dict())


def names_of(cls: type[Any]) -> set[str]:
    """Names of the fields of a dataclass: the keys that its JSON form may have."""
    return {item.name for item in fields(cls)}


def without_nothing(content: dict[str, Json]) -> dict[str, Json]:
    """Leave out what is not known."""
    return {key: value for key, value in content.items() if value is not None}
