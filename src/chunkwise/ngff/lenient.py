"""What the specification forbids and many files have all the same: read where its meaning is beyond doubt.

The rules stay as strict as the specification. Here, a copy of the metadata is mended, error by error, and judged
again: an error that is gone becomes a deviation, which says how the part was read; one that stays refuses the store.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from chunkwise.errors import InputError
from chunkwise.ngff.model import AXIS_TYPES, Finding
from chunkwise.ngff.validation import ome_block, validate
from chunkwise.storage.location import Location

__all__ = ["broken", "settle", "writer_of"]

#: Versions that say which development of a program wrote the file, and mean the version that they begin with.
SPATIALDATA = re.compile(r"(0\.[45])-dev-spatialdata")

#: What is mended may show another fault of the same part.
ROUNDS = 2

ABSENT = "this part is treated as absent"
#: What an action returns where it cannot help.
Note = str | None


def settle(
    location: Location, attributes: dict[str, Any], kind: str, version: str
) -> tuple[dict[str, Any], list[Finding]]:
    """Judge the attributes of a group, and return the metadata that can be relied on.

    Parameters
    ----------
    location : Location
        Of the group, for the error.
    attributes : dict
        As the group has them; not changed.
    kind : str
        One of :data:`chunkwise.ngff.validation.KINDS`.
    version : str
        Of the specification.

    Returns
    -------
    block : dict
        What the group says, mended where it had to be; the parts that were damaged and can be done without are out.
    findings : list of Finding
        None of them an error.

    Raises
    ------
    InputError
        If the metadata break the specification in a way that leaves in doubt what is meant.
    """
    try:
        given = validate(attributes, kind, version)
        errors = [finding for finding in given if finding.severity == "error"]
        if not errors:
            return ome_block(attributes, version), list(given)
        mender, left = _Mender(attributes, kind, version), errors
        for _ in range(ROUNDS):
            mended = mender.mend(left)
            left = [finding for finding in validate(mended, kind, version) if finding.severity == "error"]
    except RecursionError:
        raise InputError(f"The metadata of {location.address} are damaged: they are nested too deeply.") from None
    if left:
        stayed = set(left)
        raise broken(location, version, [finding for finding in errors if finding in stayed] or errors)
    return ome_block(mended, version), [
        replace(finding, severity="deviation", read=mender.notes.get(finding.where, ""))
        if finding.severity == "error"
        else finding
        for finding in given
    ]


def broken(location: Location, version: str, findings: Iterable[Finding]) -> InputError:
    """Say that metadata break the specification, by the first error or deviation among findings."""
    faults = [finding for finding in findings if finding.severity in ("error", "deviation")]
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    return InputError(
        f"{location.address} breaks the OME-Zarr {version} specification: {faults[0].where} {faults[0].message}{more}."
    )


def writer_of(attributes: dict[str, Any], version: str) -> str | None:
    """Recognise the program that wrote metadata, where they say so."""
    block = ome_block(attributes, version)
    block = block if isinstance(block, dict) else attributes
    try:
        first = block["multiscales"][0]
        first = first if isinstance(first, dict) else {}
    except (LookupError, TypeError):
        first = {}
    for given in (block.get("version"), first.get("version")):
        if isinstance(given, str) and SPATIALDATA.fullmatch(given):
            return "SpatialData"
    for creator in (block.get("_creator"), attributes.get("_creator")):
        if isinstance(creator, dict) and isinstance(creator.get("name"), str):
            return str(creator["name"])[:40]
    if "spatialdata_attrs" in attributes:
        return "SpatialData"
    if "iohub" in attributes:
        return "iohub"
    metadata = first.get("metadata")
    method = metadata.get("method") if isinstance(metadata, dict) else None
    if (isinstance(method, str) and method.startswith("loci.")) or "bioformats2raw.layout" in block:
        return "bioformats2raw"
    return None


class _Mender:
    """Mends a copy of the metadata of one group."""

    def __init__(self, attributes: dict[str, Any], kind: str, version: str) -> None:
        self.attributes = copy.deepcopy(attributes)
        self.kind, self.version = kind, version
        self.writer = writer_of(attributes, version)
        self.notes: dict[str, str] = {}
        #: By the identity of a list: itself, and the positions of what goes out of it when all else is done.
        self._dropped: dict[int, tuple[list[Any], set[int]]] = {}
        self._actions: tuple[tuple[str, Callable[[str], Note]], ...] = (
            (r"multiscales\[[1-9]\d*\].*", self._entry),  # only the first is used
            (r"ome", self._list_without_block),
            (r"ome\.version|multiscales\[\d+\]\.version", self._version),
            (r"(plate|well)\.version", self._version_of_block),
            (r"multiscales\[\d+\]\.axes(\[\d+\])?", self._types),
            (r"multiscales\[\d+\]\.axes\[\d+\]\.unit", self._unit),
            (r".*\.path", self._path),
            (r"multiscales\[\d+\]\.(datasets\[\d+\]\.)?coordinateTransformations.*", self._transformations),
            (r"(omero|image-label)([.\[].*)?", self._part),
            (r"plate\.(name|field_count|acquisitions)([.\[].*)?", self._part_of_plate),
            (r"well\.images\[\d+\]\.acquisition", self._key),
            (r"(plate\.wells|well\.images|series|labels)\[\d+\].*", self._entry),
            (r"multiscales\[\d+\]\.name|multiscales\[\d+\]\.axes\[\d+\]\.type", self._key),
        )

    @property
    def block(self) -> Any:
        return ome_block(self.attributes, self.version)

    def mend(self, errors: list[Finding]) -> dict[str, Any]:
        """Mend what can be mended, noting for each place how it is read; returns the copy."""
        for finding in errors:
            for pattern, action in self._actions:
                note = action(finding.where) if re.fullmatch(pattern, finding.where) else None
                if note is not None:
                    by = f" (written by {self.writer})" if self.writer else ""
                    self.notes.setdefault(finding.where, note + by)
                    break
        for entries, damaged in self._dropped.values():
            entries[:] = [entry for index, entry in enumerate(entries) if index not in damaged]
        self._dropped.clear()
        return self.attributes

    def _at(self, where: str) -> Any:
        """Go to a place; None where it leads nowhere."""
        found: Any = self.block
        for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", where):
            try:
                found = found[name] if name else found[int(index)]
            except (LookupError, TypeError):
                return None
        return found

    def _split(self, where: str) -> tuple[Any, str]:
        above, _, key = where.rpartition(".")
        return self._at(above), key

    def _list_without_block(self, _: str) -> Note:
        """A label list in Zarr v3 as version 0.4 has it."""
        if self.kind != "labels" or "ome" in self.attributes or "labels" not in self.attributes:
            return None
        self.attributes["ome"] = {"version": self.version, "labels": self.attributes["labels"]}
        return "the list beside it is used"

    def _version(self, where: str) -> Note:
        holder = self.block if where == "ome.version" else self._split(where)[0]
        if not isinstance(holder, dict):
            return None
        given = holder.get("version")
        alike = SPATIALDATA.fullmatch(given) if isinstance(given, str) else None
        if "version" in holder and given is not None and (alike is None or alike.group(1) != self.version):
            return None
        holder["version"] = self.version
        return f"it is read as {self.version}"

    def _version_of_block(self, where: str) -> Note:
        """A plate or a well of version 0.4 that names an older one: what has to be in it is judged all the same."""
        self._key(where)
        return "it is ignored"

    def _types(self, where: str) -> Note:
        """Axes of which none, or too many, are of space by type: their names tell."""
        axes = self._at(where)
        if not isinstance(axes, list) or not all(isinstance(axis, dict) for axis in axes):
            return None
        for axis in axes:
            known = AXIS_TYPES.get(str(axis.get("name")).lower())
            if known is not None and axis.get("type") not in AXIS_TYPES.values():
                axis["type"] = known
        return "the names of the axes say what they are"

    def _unit(self, where: str) -> Note:
        self._key(where)
        return "the axis is treated as having no unit"

    def _path(self, where: str) -> Note:
        holder, key = self._split(where)
        if not isinstance(holder, dict) or not isinstance(holder.get(key), str) or not holder[key].startswith("/"):
            return None
        holder[key] = holder[key].lstrip("/")
        return f"it is read as {holder[key]!r}, inside the group"

    def _transformations(self, where: str) -> Note:
        above, _, rest = where.partition(".coordinateTransformations")
        holder, multiscale = self._at(above), self._at(where.partition("]")[0] + "]")
        if not isinstance(holder, dict) or not isinstance(multiscale, dict):
            return None
        entries, whole = holder.get("coordinateTransformations"), holder is multiscale
        if not isinstance(entries, list):
            return self._key(where) if entries is None and whole else None
        given = self._at(where.removesuffix(".type")) if rest.endswith(".type") else None
        if isinstance(given, dict) and given["type"] == "identity" and isinstance(multiscale.get("axes"), list):
            kept = [entry for entry in entries if not (isinstance(entry, dict) and entry.get("type") == "identity")]
            if not any(isinstance(entry, dict) and entry.get("type") == "scale" for entry in kept):
                kept.insert(0, {"type": "scale", "scale": [1.0] * len(multiscale["axes"])})
            holder["coordinateTransformations"] = kept
            return "it is read as a scale of 1"
        if whole and any(isinstance(entry, dict) and "output" in entry for entry in entries):
            del holder["coordinateTransformations"]
            return "coordinate systems beside the image's own are not used: sizes and places are the image's own"
        return None

    def _part(self, where: str) -> Note:
        name = re.split(r"[.\[]", where)[0]
        # Channels and their colours are read by what is whole of them; what labels mean is for others to read.
        if name == "omero":
            self.block.pop(name, None)
        else:
            self.block[name] = {}
        return ABSENT

    def _part_of_plate(self, where: str) -> Note:
        self.block["plate"].pop(re.split(r"[.\[]", where)[1], None)
        return ABSENT

    def _key(self, where: str) -> Note:
        holder, key = self._split(where)
        if isinstance(holder, dict):
            holder.pop(key, None)
        return ABSENT

    def _entry(self, where: str) -> Note:
        name = where[: where.index("]") + 1]
        entries, index = self._at(name.rpartition("[")[0]), int(name.rpartition("[")[2][:-1])
        if isinstance(entries, list):
            self._dropped.setdefault(id(entries), (entries, set()))[1].add(index)
        return ABSENT
