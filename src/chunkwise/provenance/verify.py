"""Data held against what was said of them: whether they are still the same, and if not, which objects differ."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chunkwise.blocks.progress import Progress
from chunkwise.errors import InputError, PolicyError
from chunkwise.files import open_file
from chunkwise.formats import as_store
from chunkwise.provenance.attachments import read_manifest
from chunkwise.provenance.claims import Claim, claim_of
from chunkwise.provenance.resource import make_resource
from chunkwise.reference import Reference, resolve_named
from chunkwise.site import Site
from chunkwise.storage.dandi import DANDI, dandi_checksum
from chunkwise.storage.fingerprint import documents_digest, fingerprint
from chunkwise.storage.kv import list_keys
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.manifest import FILE_NAME, Difference, Manifest
from chunkwise.storage.objects import is_about, object_keys, read_objects, zipped_sizes

__all__ = ["Outcome", "choose", "is_as_claimed", "places_of", "survey", "verify"]

#: What of a store was held against the fingerprint, by its level.
COVERS = {
    "metadata": "only its metadata documents",
    "stat": "names, sizes and times of its objects, not their bytes",
    "sample": "all names and sizes, and the bytes of a sample of {sample} objects and of the metadata",
    "full": "every byte",
}


@dataclass(frozen=True)
class Outcome:
    """What was found where data should be."""

    claim: Claim
    status: str
    """``same``, ``changed``, ``missing``, or ``unknown`` where nothing could be looked at."""
    note: str = ""
    """Why it is unknown, or what of a file is other."""
    objects: int = 0
    """That were looked at."""
    size: int = 0
    """Their bytes, where these were read."""
    difference: Difference | None = None
    """Which objects differ; None where nothing could tell."""
    found: str = ""
    """The fingerprint as it is now."""
    checksums: dict[str, str] = field(default_factory=dict)
    elsewhere: str | None = None
    """Where the data were looked for, where that is not the place that was said."""

    @property
    def differs(self) -> bool:
        """Whether the data are not what they were."""
        return self.status in ("changed", "missing")

    def document(self) -> dict[str, Any]:
        """All of it in JSON values."""
        claim, difference = self.claim, self.difference
        content: dict[str, Any] = {
            "location": claim.place,
            "root": claim.root,
            "kind": claim.kind,
            "role": claim.role,
            "looked_at": self.elsewhere,
            "status": self.status,
            "level": claim.level,
            "expected": claim.value or None,
            "found": self.found or None,
            "objects": self.objects,
            "bytes": self.size,
            "note": self.note or None,
            "checksums": self.checksums or None,
            "named": difference is not None if self.status == "changed" else None,
        }
        if difference:
            content |= {
                "changed": list(difference.changed),
                "truncated": list(difference.truncated),
                "missing": list(difference.missing),
                "added": list(difference.added),
                "renamed": dict(difference.renamed),
            }
        return {key: value for key, value in content.items() if value is not None}


def places_of(claims: Iterable[Claim], site: Site | None, source: str) -> list[tuple[Claim, Location]]:
    """Ask the policy for every place, before anything is read at any of them.

    Raises
    ------
    InputError
        If it is a name rather than a place, as in a published crate.
    PolicyError
        If one is not allowed.
    """
    claims = list(claims)
    for claim in claims:
        if claim.root is None and "://" not in claim.place and not os.path.isabs(claim.place):
            raise InputError(
                f"{source} does not say where {claim.place} is, because no published crate does; give the data, and "
                f"this file with --against {source}."
            )
    return [(claim, resolve_named(claim.place, claim.root, site, source)) for claim in claims]


def verify(
    claim: Claim,
    location: Location,
    manifests: Sequence[Manifest] = (),
    *,
    site: Site | None = None,
    typed: bool = False,
    dandi: bool = False,
) -> Outcome:
    """Hold what lies at a place against what was said of it.

    Parameters
    ----------
    claim : Claim
        What was said.
    location : Location
        Where the data are, as the policy allowed it.
    manifests : sequence of Manifest
        Those at hand; one counts where its root digest is the claim's. Another is looked for in the run directory.
    site : Site or None
        The administrator's file.
    typed : bool
        Whether a person typed the place.
    dandi : bool
        Whether the checksum of the archive DANDI is worked out, too, and compared where one was taken before. It
        reads every byte, whatever the level.

    Raises
    ------
    InputError
        If something is there and cannot be read.
    PolicyError
        If an object is a symbolic link to what the policy does not allow.
    ResumableError
        If a server does not answer.
    """
    outcome = _verify(claim, location, manifests, site, typed, dandi)
    here = location.relative if location.root is None else f"{location.root}:{location.relative}"
    return outcome if here == claim.text else replace(outcome, elsewhere=here)


def _verify(
    claim: Claim, location: Location, manifests: Sequence[Manifest], site: Site | None, typed: bool, dandi: bool
) -> Outcome:
    if claim.level is None and not (dandi and claim.store):
        return Outcome(claim, "unknown", "no fingerprint of it was taken")
    if claim.several:
        return _verify_files(claim, location)
    if not claim.store:
        return _verify_file(claim, location)
    if not _is_there(location):
        return Outcome(claim, "missing")
    if location.is_url and location.archive is None and location.s3 is None and (claim.level != "metadata" or dandi):
        return Outcome(claim, "unknown", "it is on a web server, which cannot list what it has")
    now: Manifest | None = None
    checksums: dict[str, str] = {}
    if claim.level == "full" or dandi:
        now, checksums = survey(location, dandi)
    objects, size = (0, 0) if now is None else (len(now.objects), now.size)
    if claim.level == "full" and now is not None:
        found = now.digest
    elif claim.level == "metadata":
        found = _documents(claim, location)
    elif claim.level is not None:
        taken = fingerprint(location, claim.level, sample=claim.sample, advance=_progress())
        found = str(taken["value"])
    else:
        found = ""
    # Two identifiers of the same bytes: whichever is another tells that they are others.
    same = found == claim.value and all(claim.checksums.get(name, value) == value for name, value in checksums.items())
    if same and claim.level is None:
        return Outcome(claim, "unknown", "no fingerprint of it was taken", objects, size, None, found, checksums)
    difference = None
    if not same and now is not None and claim.level == "full":
        before = next((item for item in manifests if item.digest == claim.value), None)
        before = before or _beside(claim, location, site, typed)
        difference = None if before is None else before.compare(now)
    return Outcome(claim, "same" if same else "changed", "", objects, size, difference, found, checksums)


def is_as_claimed(reference: Reference, location: Location, until: float) -> bool:
    """Whether a store is what its reference says, by a fingerprint for which no object is read.

    Parameters
    ----------
    reference : Reference
        With a fingerprint of level ``metadata`` or ``stat``.
    location : Location
        Of the store.
    until : float
        Time of :func:`time.monotonic` at which it is given up.

    Raises
    ------
    InputError
        If the fingerprint is none that chunkwise makes, or the store cannot be listed.
    LateError
        If the time is over.
    """
    known = {"root": reference.root, "fingerprint": reference.fingerprint, "description": reference.description}
    claim = claim_of(make_resource("image", reference.kind, reference.place, known), "what the reference refers to")
    if claim.level == "metadata":
        return _documents(claim, location) == claim.value
    return bool(fingerprint(location, "stat", until=until)["value"] == claim.value)


def survey(location: Location, dandi: bool = False) -> tuple[Manifest, dict[str, str]]:
    """Read every byte of a store: its manifest as it is now, and its further checksums."""
    keys = object_keys(location, about=dandi)
    advance, seen = _progress(), []
    for item in read_objects(location, keys, md5=dandi):
        seen.append(item)
        advance(len(keys))
    manifest = Manifest.of(item for item in seen if not is_about(item.key))
    return manifest, {DANDI: dandi_checksum(seen)} if dandi else {}


def choose(
    claims: Sequence[Claim],
    name: str,
    now: Callable[[], tuple[str, Manifest | None]],
    manifests: Sequence[Manifest],
    source: str,
) -> Claim:
    """Find out of which of the data that a file names a copy elsewhere is one.

    Parameters
    ----------
    claims : sequence of Claim
        What the file says.
    name : str
        Of the copy: the end of its place.
    now : callable
        Gives the fingerprint of every byte of the copy, and of a store its manifest; called only where the name does
        not tell.
    manifests : sequence of Manifest
        Those at hand.
    source : str
        The file, for the error.

    Raises
    ------
    InputError
        If that cannot be told.
    """
    if not claims:
        raise InputError(f"{source} says nothing about data such as {name}.")
    by_name = [claim for claim in claims if claim.name == name]
    if len(claims) == 1 or len(by_name) == 1:
        return (by_name or list(claims))[0]
    # Published crates have names of their own, and a copy may have been renamed: what has the same bytes, or some
    # objects of the same bytes, is meant.
    digest, found = now()
    whole = [claim for claim in claims if claim.level == "full"]
    objects = set() if found is None else set(found.objects.items())
    shared = {item.digest: len(objects.intersection(item.objects.items())) for item in manifests}
    best = max(whole, key=lambda claim: (claim.value == digest, shared.get(claim.value, 0)), default=None)
    if best is not None and (best.value == digest or shared.get(best.value) or len(whole) == 1):
        return best
    raise InputError(
        f"{source} names {len(claims)} places ({', '.join(claim.text for claim in claims[:5])}), and none of them "
        f"has the name or the bytes of {name}; give the reference or the record of the one that it should be."
    )


def _verify_file(claim: Claim, location: Location) -> Outcome:
    if location.is_url:
        return Outcome(claim, "unknown", "it is a file behind a URL, which is not fetched")
    try:
        if not os.path.isfile(location.address):
            return Outcome(claim, "missing")
        size = os.path.getsize(location.address)
        with open_file(location.address, location.allows) as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{location.address} cannot be read: {os.strerror(error.errno or 0)}.") from None
    if found == claim.value:
        return Outcome(claim, "same", "", 1, size, None, found)
    shorter = claim.size is not None and size < claim.size
    note = f"truncated: {size} bytes of {claim.size}" if shorter else ""
    return Outcome(claim, "changed", note, 1, size, None, found)


def _verify_files(claim: Claim, location: Location) -> Outcome:
    """Hold files of another format that are one image, found as they were found when they were read."""
    if location.is_url or not os.path.exists(location.address):
        return Outcome(claim, "missing")
    said = claim.description.get("read_as")
    try:
        found = as_store(location, {name: str(value) for name, value in said.items()} if isinstance(said, dict) else {})
        now = None if found is None else survey(found)[0]
    except InputError as error:  # one of them is gone, or is no such file any more
        return Outcome(claim, "changed", str(error))
    if now is None:
        return Outcome(claim, "changed", "it is no file of another format any more")
    same = now.digest == claim.value
    return Outcome(claim, "same" if same else "changed", "", len(now.objects), now.size, None, now.digest)


def _is_there(location: Location) -> bool:
    if location.archive is not None:
        return bool(zipped_sizes(location))
    if not location.is_url:
        return os.path.isdir(location.address)
    return location.s3 is None or bool(list_keys(location))


def _documents(claim: Claim, location: Location) -> str:
    """Digest of those metadata documents that were looked at when the fingerprint was taken.

    A run looks at the group and the level that it reads, 'chunkwise open' at all levels: which of these it was, only
    the value tells, so that the first that fits counts.
    """
    levels = [str(level["path"]) for level in _list(claim.description.get("levels")) if "path" in level]
    wells = [str(well["path"]) for well in _list(claim.description.get("wells")) if "path" in well]
    series = [str(name) for name in claim.description.get("series") or []]
    tried = [["", *levels, *wells], *(["", level] for level in levels), ["", "OME", *series], [""]]
    found = [documents_digest(location, paths) for paths in tried]
    return claim.value if claim.value in found else found[0]


def _list(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _beside(claim: Claim, location: Location, site: Site | None, typed: bool) -> Manifest | None:
    """Look for the manifest in the run directory that lies beside a store, unless somebody named another."""
    top, _, label = location.address.rpartition("/labels/")
    folders = [f"{location.name}.run"] if location.is_url else [f"{location.address}.run"]
    if label and not location.is_url:
        folders.append(f"{top}.labels-{label}.run")
    for folder in folders:
        try:
            place = resolve(os.path.abspath(f"{folder}/{FILE_NAME}"), site, typed=typed)
            manifest = read_manifest(place.address)
        except (InputError, PolicyError):
            continue  # it only helps to name objects
        if manifest is not None and manifest.digest == claim.value:
            return manifest
    return None


def _progress() -> Callable[[int], None]:
    """What is told of every object that is done, and of how many these are; shown from the first on."""
    shown: list[Progress] = []

    def advance(total: int) -> None:
        if not shown:
            shown.append(Progress("verify", total, 0, unit="objects"))
        shown[0].advance(1)

    return advance
