"""What a reference, a run record, a crate or a manifest says of data: where they lie, and by what they are recognised.

Nothing of it is trusted: a place goes through the site's policy before anything is opened there, and what contradicts
itself is refused. The data are not opened here; that is what :mod:`chunkwise.provenance.verify` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from chunkwise.errors import InputError
from chunkwise.files import is_zip, open_file
from chunkwise.provenance.attachments import check_crate, is_crate_folder, manifests_in, read_manifest
from chunkwise.provenance.chain import in_order
from chunkwise.provenance.collect import read_records
from chunkwise.provenance.fields import Json
from chunkwise.provenance.record import STORES, Resource, RunRecord
from chunkwise.reference import Reference, read_reference
from chunkwise.storage.fingerprint import ALGORITHM, SAMPLE
from chunkwise.storage.manifest import Manifest

__all__ = ["WHAT", "Claim", "Statement", "claim_of", "is_statement", "read_statement"]

#: Which of the data that a file names.
WHAT: Final = ("result", "outputs", "inputs", "all")

#: The weakest first.
_STRENGTH: Final = ("metadata", "stat", "sample", "full")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Claim:
    """Data, and by what they are recognised."""

    role: str
    """Such as ``output of segment``."""
    kind: str
    place: str
    """Absolute path or URL; below the root where one is named."""
    root: str | None = None
    level: str | None = None
    """Of the fingerprint: ``metadata``, ``stat``, ``sample``, ``full``; None where none was taken."""
    value: str = ""
    sample: int = SAMPLE
    checksums: dict[str, Json] = field(default_factory=dict)
    """Further identifiers by their name."""
    size: int | None = None
    store: bool = True
    """Whether it is a store, rather than a file."""
    several: bool = False
    """Whether it is several files of another format, which are one image."""
    description: dict[str, Json] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The place as it is named."""
        return self.place if self.root is None else f"{self.root}:{self.place}"

    @property
    def name(self) -> str:
        """The end of the place."""
        return self.place.rstrip("/").rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Statement:
    """What a file says."""

    claims: tuple[Claim, ...] = ()
    manifests: tuple[Manifest, ...] = ()
    alone: bool = False
    """Whether it is a manifest, which says of no place what lies there."""


def is_statement(path: str) -> bool:
    """Whether a path is that of a file that could say something of data, rather than a store or a URL."""
    return Path(path).is_file() or is_crate_folder(path)


def read_statement(path: str, what: str | None = None) -> Statement:
    """Read a reference, a run record, a crate or a manifest.

    Parameters
    ----------
    path : str
        The file; a crate may be a folder.
    what : {"result", "outputs", "inputs", "all"}, optional
        Which data: what the reference refers to or the last run wrote, what any run wrote, what any run read and
        none wrote, or all. By default ``result`` of a reference, ``all`` of the others.

    Raises
    ------
    InputError
        If it is none of these, is damaged, or contradicts itself.
    """
    reference = read_reference(path)
    if reference is not None:
        return Statement(_of_reference(reference, path, what or "result"))
    crate = is_crate_folder(path) or is_zip(path)
    if crate:
        check_crate(path)
    elif _is_gzip(path):
        manifest = read_manifest(path)
        return Statement(manifests=() if manifest is None else (manifest,), alone=True)
    records = in_order(read_records(path))
    return Statement(_of_records(records, what or "all"), tuple(manifests_in(path)) if crate else ())


def _is_gzip(path: str) -> bool:
    try:
        with open_file(path) as file:
            return file.read(2) == b"\x1f\x8b"
    except (OSError, InputError):
        return False


def _of_reference(reference: Reference, path: str, what: str) -> tuple[Claim, ...]:
    """The claims of a reference, which has to say of its store what the run says that wrote it."""
    try:
        records = [RunRecord.from_dict(record) for record in reference.records]
        own = claim_of(
            Resource(
                name="store",
                kind=reference.kind,
                location=reference.place,
                identity="",
                root=reference.root,
                fingerprint=reference.fingerprint or None,
                description=reference.description,
            ),
            "what the reference refers to",
        )
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    written = [item for record in records for item in record.outputs if _same_place(item, own)]
    for item in written:
        if own.level == "full" and (item.fingerprint or {}).get("value") != own.value:
            raise InputError(
                f"{path} and the record of the run that wrote {own.text} give different fingerprints for it, so one of "
                "the two was changed by hand."
            )
        own = replace(own, size=item.size)
    if what == "result":
        return (own,)
    return _strongest([own, *_of_records(in_order(records), what)] if records and what != "inputs" else [own])


def _of_records(records: list[RunRecord], what: str) -> tuple[Claim, ...]:
    written = [claim_of(item, f"output of {record.command}") for record in records for item in record.outputs]
    if what == "result":
        return tuple(claim_of(item, f"output of {records[-1].command}") for item in records[-1].outputs)
    if what == "outputs":
        return _strongest(written)
    read = [claim_of(item, f"input of {record.command}") for record in records for item in record.inputs]
    places = {(claim.root, claim.place) for claim in written}
    return _strongest(
        [*written, *read] if what == "all" else [claim for claim in read if (claim.root, claim.place) not in places]
    )


def _same_place(item: Resource, claim: Claim) -> bool:
    return (item.root, item.location) == (claim.root, claim.place)


def _strongest(claims: Iterable[Claim]) -> tuple[Claim, ...]:
    """Leave each place in once, by its strongest fingerprint; twice where two equally strong ones differ."""
    found: dict[tuple[str | None, str], list[Claim]] = {}
    for claim in claims:
        there = found.setdefault((claim.root, claim.place), [])
        strength = _strength(claim)
        if there and strength > _strength(there[0]):
            there.clear()
        if not there or (strength == _strength(there[0]) and claim.value not in {other.value for other in there}):
            there.append(claim)
    return tuple(claim for there in found.values() for claim in there)


def _strength(claim: Claim) -> int:
    return -1 if claim.level is None else _STRENGTH.index(claim.level)


def claim_of(resource: Resource, role: str) -> Claim:
    """Take from a resource what can be checked.

    Raises
    ------
    InputError
        If its fingerprint is none that chunkwise makes.
    """
    # An image may also be a file, such as a TIFF, and a plate is a store, too.
    store = resource.kind in (*STORES, "plate", "well", "bioformats2raw") and not resource.media_type.startswith(
        "image/"
    )
    fingerprint = resource.fingerprint
    level: Json = None
    value: Json = ""
    sample: Json = SAMPLE
    checksums: dict[str, Json] = {}
    if fingerprint is not None:
        level, value, sample = fingerprint.get("level"), fingerprint.get("value"), fingerprint.get("sample", SAMPLE)
        known = fingerprint.get("algorithm") in ((ALGORITHM,) if store else ("sha256", ALGORITHM))
        good = isinstance(value, str) and _DIGEST.fullmatch(value) and isinstance(sample, int) and 0 < sample < 2**31
        if not known or level not in _STRENGTH or not good:
            raise InputError(
                f"This chunkwise does not know the kind of fingerprint that {resource.location} has: it was changed "
                "by hand, or made by another program."
            )
        found = fingerprint.get("checksums")
        checksums = found if isinstance(found, dict) else {}
    return Claim(
        role=role,
        kind=resource.kind,
        place=resource.location,
        root=resource.root,
        level=level,
        value=str(value),
        sample=sample,
        checksums=checksums,
        size=resource.size,
        store=store,
        several=not store and fingerprint is not None and fingerprint.get("algorithm") == ALGORITHM,
        description=resource.description,
    )
