"""Many images one after the other, each a run of its own: one that fails is named, and the rest goes on."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from chunkwise.blocks.run import RECORD
from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.files import read_file
from chunkwise.ngff.layout import shard_of
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.provenance.record import RunRecord, parse_record
from chunkwise.reference import OpenedInput
from chunkwise.running.request import Destination, Request, Result
from chunkwise.running.unchanged import is_unchanged, notes_of
from chunkwise.storage.growth import growth_of
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location, in_archive
from chunkwise.storage.manifest import FILE_NAME, Manifest
from chunkwise.storage.objects import read_objects
from chunkwise.storage.writer import StoredObject

__all__ = ["FAILED", "THERE", "WRITTEN", "One", "Outcome", "Ready", "do_each", "failures", "listed"]

WRITTEN: Final = "written"
THERE: Final = "already there"
FAILED: Final = "failed"

#: Images that failed are named up to this many.
NAMED = 3

#: Objects of a result that are looked at together.
TOGETHER = 64


@dataclass(frozen=True)
class Ready:
    """An image that can be written."""

    opened: OpenedInput
    to: Destination
    place: Location
    """Of the result, as the policy allowed it."""
    run_dir: str
    """Where its record will lie."""
    part: bool = False
    """Whether it is part of a larger result that is not whole yet, so that it may be removed and made again."""


@dataclass(frozen=True)
class One:
    """One image of many."""

    name: str
    """What people know it by."""
    output: str
    """What they call the result."""
    prepare: Callable[[], Ready]
    """Looks at both, when its turn comes."""


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    one: One
    status: str
    record: RunRecord | None = None
    sentence: str = ""
    """Why it failed."""


def do_each(
    request: Request, many: Sequence[One], convert: Callable[[Request, OpenedInput], Result]
) -> Iterator[Outcome]:
    """Convert images one after the other; those that an earlier attempt has finished are not done again.

    Parameters
    ----------
    request : Request
        What was asked for of all of them.
    many : sequence of One
        The images.
    convert : callable
        Does one of them.

    Yields
    ------
    Outcome
        One an image, in their order.
    """
    for number, one in enumerate(many, start=1):
        outcome = _do(request, one, convert)
        print(f"{number} of {len(many)}: {one.name}: {outcome.status}", file=sys.stderr, flush=True)
        yield outcome


def _do(request: Request, one: One, convert: Callable[[Request, OpenedInput], Result]) -> Outcome:
    try:
        ready = one.prepare()
        if _is_something(ready.place):
            try:
                return Outcome(one, THERE, _believed(request, ready))
            except InputError:
                if not ready.part:
                    raise
                shutil.rmtree(ready.place.address)
        result = convert(replace(request, inputs={"image": ready.opened}, to=ready.to), ready.opened)
    except ChunkwiseError as error:
        return Outcome(one, FAILED, sentence=" ".join(str(error).split()))
    return Outcome(one, WRITTEN, RunRecord.from_dict(result.reference.records[-1]))


def _is_something(place: Location) -> bool:
    return read_key(place, "zarr.json") is not None if place.is_url else os.path.exists(place.address)


def _believed(request: Request, ready: Ready) -> RunRecord:
    """The record of the run that made what is there, as far as this is what would be made now.

    Raises
    ------
    InputError
        If it is not.
    """
    exists = f"The output {ready.place.address} exists, "
    made = in_archive(ready.place)
    try:
        record = parse_record(read_file(os.path.join(ready.run_dir, RECORD)))
        found = [record.status, record.inputs[0].location, record.outputs[0].location]
    except (OSError, InputError, IndexError):
        found = []
    if found != ["completed", ready.opened.store.location.relative, ready.place.relative]:
        raise InputError(
            f"{exists}and no run record in {ready.run_dir} says that it was made of this source; remove it, or give "
            "another output."
        )
    other = _made_otherwise(request, ready, record)
    if other:
        raise InputError(
            f"{exists}and was made with another --{other.replace('_', '-')}; give another output, or remove it."
        )
    if request.values["check"] == "yes" and not _is_compared(record):
        raise InputError(
            f"{exists}and was not compared with its source, which --check yes asks for; give another output, or remove "
            "it."
        )
    if not _is_whole(made, ready.run_dir):
        raise InputError(
            f"{exists}but files of it were changed or removed since it was made; remove it to have it made again."
        )
    if not is_unchanged(request, ready.opened, made, notes_of(ready.run_dir)):
        raise InputError(f"{exists}and its source has changed since it was made; remove it to have it made again.")
    return record


def _made_otherwise(request: Request, ready: Ready, record: RunRecord) -> str:
    """The name of a parameter that was another one then; nothing where there is none."""
    asked = {name: value for name, value in request.recorded().items() if name in {*request.values, "shard"}}
    del asked["check"]
    if isinstance(ready.opened.store, Image):
        values = request.values
        image = ready.opened.image
        selection = select(image, values["level"], values["channel"] or EVERY, values["time"], values["region"])
        asked["channel"] = selection.channel_names
        asked["shard"] = list(shard_of(selection.source.shape, request.to.shard)[1])
    return next((name for name, value in asked.items() if value != record.parameters.get(name)), "")


def _is_compared(record: RunRecord) -> bool:
    """Whether every voxel was; of a plate, of all its images."""
    compared: Any = record.results.get("compared")
    return compared is not None and compared.get("images") == record.results.get("images")


def listed(folder: str) -> list[StoredObject]:
    """The objects that a run has written; a run that did not get to its end says none that is whole."""
    try:
        manifest = Manifest.from_bytes(read_file(os.path.join(folder, FILE_NAME)), f"{folder}/{FILE_NAME}")
    except (OSError, InputError):
        return [StoredObject("..", "", 0)]
    return [StoredObject(key, sha256, size) for key, (sha256, size) in manifest.objects.items()]


def _is_whole(made: Location, folder: str) -> bool:
    """Whether all that a run has written is there with its bytes."""
    items = listed(folder)
    if made.archive is not None:
        try:
            seen = read_objects(made, [item.key for item in items])
            return all(one.sha256 == item.sha256 for one, item in zip(seen, items, strict=True))
        except InputError:
            return False
    parts = (items[first : first + TOGETHER] for first in range(0, len(items), TOGETHER))
    return all(all(growth_of(made).are_whole(part)) for part in parts)


def failures(outcomes: Sequence[Outcome], what: str) -> str:
    """Say which failed, in the beginning of a sentence; nothing where none did."""
    failed = [outcome for outcome in outcomes if outcome.status == FAILED]
    if not failed:
        return ""
    words = "; ".join(f"{outcome.one.name}: {outcome.sentence.rstrip('.')}" for outcome in failed[:NAMED])
    more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
    return f"{len(failed)} of {len(outcomes)} {what} failed ({words}{more})"
