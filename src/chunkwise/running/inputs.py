"""What a run reads: noted in its record, and held to stay as it was, from the first block to the last.

At the start of a run, when it is gone on with, and at its end, what file systems and servers say of the objects that
are read is compared (:mod:`chunkwise.storage.stamp`), so that voxels of two states of an image are never mixed.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from chunkwise.blocks.run import Run
from chunkwise.errors import ChunkwiseError, InputError, ResumableError
from chunkwise.ngff.emptiness import say_empty, share_of
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.provenance.carried import carried_by
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.provenance.verify import is_as_claimed
from chunkwise.reference import OpenedInput, describe
from chunkwise.storage.fingerprint import fingerprint
from chunkwise.storage.location import Location
from chunkwise.storage.objects import LateError
from chunkwise.storage.share import Share
from chunkwise.storage.stamp import KINDS, SECONDS, TICK, Objects, Stamp, Swept, kind_of, sweep

__all__ = ["ChangedError", "Input", "Inputs", "is_as_noted"]

#: Chunks that could not be read, at most, so that the run can go on when they are mended.
MOST_UNREAD = 1000


class ChangedError(InputError):
    """The input is not what it was when the run began; what was computed is left for the person to remove."""


@dataclass
class Input:
    """One image that a run reads."""

    name: str
    """The parameter."""
    opened: OpenedInput
    path: str
    """Of the level that is read."""
    sources: Sequence[VolumeSource]
    """What of it, one a channel."""
    fingerprint: dict[str, Any] = field(default_factory=dict)
    """The fingerprint of its metadata."""
    trust: str = "taken"
    """What became of the fingerprint: ``taken``, ``compared``, ``handed on``."""
    stamp: Stamp | None = None
    compared: int = 0
    """Objects that were compared every time."""

    @property
    def address(self) -> str:
        """Of the array."""
        return self.sources[0].array.address

    def objects(self) -> Objects:
        """What is read of the array."""
        return Objects(self.sources[0].array, [source.stored for source in self.sources])

    def metadata(self) -> dict[str, Any]:
        """The fingerprint of its metadata as they are now."""
        return fingerprint(self.opened.image.location, "none", ("", self.path))

    def planned(self, metadata: dict[str, Any]) -> dict[str, Any]:
        """What a plan says of it, where its metadata have a fingerprint."""
        return {"array": self.opened.image.location.child(self.path).address, "fingerprint": metadata}


class Inputs:
    """All that a run reads.

    Parameters
    ----------
    recorder : Recorder
        Of the run; knows no input yet.
    inputs : sequence of Input
        One an image.

    Raises
    ------
    InputError
        If a reference holds damaged run records, or refers to what is not there any more: now, not when the work is
        done.
    """

    def __init__(self, recorder: Recorder, inputs: Sequence[Input]) -> None:
        self._recorder, self._inputs = recorder, inputs
        self._run: Run | None = None
        self._times: list[str] = []
        for one in inputs:
            location, reference = one.opened.image.location, one.opened.reference
            try:
                for record in one.opened.records:
                    RunRecord.from_dict(record)
            except InputError as error:
                raise InputError(f"The reference to {location.address} holds a damaged run record: {error}") from None
            one.fingerprint = one.metadata()
            one.trust = _held_to_reference(one.opened)
            share = share_of(one.opened.image, one.path)
            _say_share(one, share)
            known: dict[str, Any] = {
                "fingerprint": reference.fingerprint if one.trust != "taken" and reference else one.fingerprint
            }
            if location.foreign is not None:  # a file is known by its bytes, which are hashed when all is done
                known = {"media_type": location.foreign.media_type}
            recorder.input(
                one.name,
                one.opened.image.kind,
                location,
                **known,
                description=describe(one.opened.image)
                | _remarks(one.opened.image)
                | _told_share(share)
                | _read_as(location)
                | carried_by(location),
            )

    @property
    def plan(self) -> dict[str, Any]:
        """The ``inputs`` of the plan."""
        return {one.name: one.planned(one.fingerprint) for one in self._inputs}

    @contextmanager
    def held(self, run: Run | None = None, *, remove: bool = False) -> Iterator[None]:
        """Hold the inputs to what they are like when the run begins, or were when it began; :meth:`check` at its end.

        Parameters
        ----------
        run : Run, optional
            Whose lock is held; without one, nothing is gone on with.
        remove : bool
            Whether what was computed of another input is removed, where the person cannot do it.

        Raises
        ------
        ChangedError
            If they are others now.
        """
        self._run = run
        try:
            noted = None if run is None else run.noted_inputs()
        except InputError as error:
            raise self._other(str(error), remove) from None
        if noted is None:
            for one in self._inputs:
                one.stamp = _first(one.objects())
                one.compared = one.stamp.reached
            self._note()
            self._tell("start")
        else:
            self._compare(noted, remove)
            self._tell("start", "resume")
        try:
            yield
        except ResumableError as error:
            with suppress(ChunkwiseError):
                self._leave_out(error.unread)
            raise
        if "end" not in self._times:
            raise AssertionError("the inputs were not checked when the run ended")

    def check(self) -> None:
        """Make sure, before the result gets its name, that all of it comes from one state of the inputs.

        Raises
        ------
        InputError
            If something changed since the run began.
        """
        for number, one in enumerate(self._inputs):
            foreign = one.opened.image.location.foreign
            if foreign is not None:  # before it is looked at once more, so that these are the bytes that were read
                self._recorder.known_by_its_bytes(number, one.opened.image.location)
            found = _again(one)
            if not found.fits(_stamp(one)) or one.metadata() != one.fingerprint:
                raise InputError(
                    f"{one.address} changed while it was read, so the result would mix old voxels with new ones; "
                    "nothing of it is kept: give the same command again to start over."
                )
            one.compared = min(one.compared, found.reached)
        self._tell(*self._times, "end")

    def _compare(self, noted: Any, remove: bool) -> None:
        for one in self._inputs:
            try:
                one.stamp = Stamp.from_dict(noted["inputs"][one.name])
            except (KeyError, TypeError, ValueError):
                sentence = (
                    f"What the unfinished run recorded about {one.address} is damaged; remove {{remains}} to start "
                    "over."
                )
                raise self._other(sentence, remove) from None
            found = _again(one)
            if one.stamp.count != one.objects().count or not found.fits(one.stamp):
                raise self._other(
                    f"{one.address} is not what it was when this run began: chunks of it were changed, added or "
                    f"removed, and old voxels must not be mixed with new ones; remove {{remains}} to start over.",
                    remove,
                )
            one.compared = found.reached
            if one.stamp.left_out and len(found.groups) == len(one.stamp.groups):
                # Mended, and from now on part of what is compared.
                sums = zip(found.groups, found.beside, strict=True)
                groups = tuple((end, (total + beside) % 2**128) for (end, total), beside in sums)
                one.stamp = replace(one.stamp, groups=groups, left_out=())
        self._note()

    def _other(self, sentence: str, remove: bool) -> ChangedError:
        """Refuse to go on; where the person cannot remove what there is, it is removed."""
        run = self._run
        if run is None:
            raise AssertionError("no run was resumed")
        if remove:
            run.abandon()
            problem = sentence.partition("; remove ")[0]
            return ChangedError(f"{problem}; what was computed has been removed: run the same job again to start over.")
        return ChangedError(sentence.replace("{remains}", run.remains))

    def _leave_out(self, unread: Sequence[str]) -> None:
        """Let chunks be mended that could not be read: no block that is done has read them.

        That is so if they are as they were when the run began; else they may have been read while they were whole.
        """
        if self._run is None or not 0 < len(unread) <= MOST_UNREAD:
            return
        for one in self._inputs:
            stamp, top = _stamp(one), f"{one.address}/"
            keys = tuple(address.removeprefix(top) for address in unread if address.startswith(top))
            if not keys or stamp.left_out:
                continue
            found = sweep(one.objects(), stamp.kind, keys, [end for end, _ in stamp.groups])
            sums = zip(found.groups, found.beside, strict=True)
            if tuple((end, (total + beside) % 2**128) for (end, total), beside in sums) == stamp.groups:
                one.stamp = replace(stamp, groups=tuple(found.groups), left_out=keys)
        self._note()

    def _note(self) -> None:
        if self._run is not None:
            stamps = {one.name: _stamp(one).to_dict() for one in self._inputs}
            self._run.note_inputs({"chunkwise_inputs": 1, "inputs": stamps})

    def _tell(self, *times: str) -> None:
        """Say in the record what was compared, and when."""
        self._times = list(dict.fromkeys(times))
        for number, one in enumerate(self._inputs):
            stamp = _stamp(one)
            self._recorder.checked(
                number,
                fingerprint=one.trust,
                of=KINDS[stamp.kind],
                objects=stamp.count,
                compared=one.compared,
                at=self._times,
            )


def _remarks(image: Image) -> dict[str, Any]:
    """How the image departs from the specification, and how it was read: what was silent now is lost later."""
    return {"remarks": [finding.line for finding in image.findings]} if image.findings else {}


def _read_as(location: Location) -> dict[str, Any]:
    """What was said of files of another format that decides which of them are read."""
    said = {} if location.foreign is None else dict(location.foreign.said)
    chosen = {name: said[name] for name in ("pattern", "series") if name in said}
    return {"read_as": chosen} if chosen else {}


def _told_share(share: Share | None) -> dict[str, Any]:
    """What the record says of the chunks of the level that is read."""
    if share is None:
        return {}
    return {"chunks_there": {"found": share.found, "looked_for": share.looked_for, "total": share.total}}


def _say_share(one: Input, share: Share | None) -> None:
    empty = say_empty(one.opened.image, one.path, share)
    if empty is not None:
        print(f"WARNING: {empty}", file=sys.stderr)
    elif share is not None and share.found < share.looked_for:
        print(f"note: {one.name}, level {one.path}: {share.sentence}; the others are the fill value.", file=sys.stderr)


def _stamp(one: Input) -> Stamp:
    if one.stamp is None:
        raise AssertionError("the run did not begin")
    return one.stamp


def _first(objects: Objects) -> Stamp:
    kind = kind_of(objects.array)
    found = sweep(objects, kind)
    if abs(time.time_ns() - found.newest) < TICK:
        # A file that has just changed could change again without its time telling.
        time.sleep(TICK / 1e9)
        found = sweep(objects, kind)
    if not found.tags:
        return Stamp("none", objects.count)
    return Stamp(kind, objects.count, tuple(found.groups))


def _again(one: Input) -> Swept:
    stamp = _stamp(one)
    return sweep(one.objects(), stamp.kind, stamp.left_out, [end for end, _ in stamp.groups])


def is_as_noted(one: Input, noted: Any) -> bool:
    """Whether an input is what a run noted of it when it began; a note that cannot be read says so of none."""
    try:
        one.stamp = Stamp.from_dict(noted)
    except ValueError:
        return False
    return one.stamp.count == one.objects().count and _again(one).fits(one.stamp)


def _held_to_reference(opened: OpenedInput) -> str:
    """Hold an image to the fingerprint of its reference, where that is cheap; says what became of it.

    Raises
    ------
    InputError
        If the image is not the one that the reference was made for.
    """
    reference, image = opened.reference, opened.image
    if reference is None or reference.fingerprint.get("level") in (None, "none"):
        return "taken"
    place = (image.location.relative, image.location.root)
    cheap = reference.fingerprint.get("level") in ("metadata", "stat")
    # Labels that were added since are objects of the store, too.
    same_labels = reference.description.get("labels") in (None, list(image.labels))
    if place != (reference.place, reference.root) or not cheap or not same_labels:
        return "handed on"
    try:
        same = is_as_claimed(reference, image.location, time.monotonic() + SECONDS["file"])
    except LateError:
        return "handed on"
    if not same:
        raise InputError(
            f"{image.location.address} is not what its reference says, which was made before the image changed; make "
            "the reference again with 'chunkwise open', or give the image by its path."
        )
    return "compared"
