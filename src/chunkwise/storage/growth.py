"""Where a store grows until it is whole, so that nothing half-written is ever taken for one.

On a file system it grows beside its final name and is renamed. S3 cannot rename: there it grows under its own name
without the document at its root, which is put last and makes a store of it. An object, the claim, holds the place until
then against another run; it holds a number that only the run directory knows.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Sequence
from typing import Protocol

from chunkwise.errors import InputError, ResumableError
from chunkwise.files import open_file, read_file
from chunkwise.storage.kv import claim_key, contents_of, list_keys, read_key, remove_keys, tags_of
from chunkwise.storage.location import Location
from chunkwise.storage.writer import StoredObject, put_object, remove_temporaries
from chunkwise.storage.zip_writer import write_zip

__all__ = ["CLAIM", "Growth", "check_files", "growth_of"]

#: In the run directory, and beside the root's document of a store that grows on S3.
CLAIM = ".chunkwise-claim"


class Growth(Protocol):
    """A store that grows."""

    def check(self, folder: str, output: str) -> None:
        """Make sure, before anything is written, that a run with this directory may make the output.

        Raises
        ------
        InputError
            If the output exists, or another run has begun to write it.
        """

    def check_empty(self) -> None:
        """Make sure that a run that begins finds nothing of another.

        Raises
        ------
        InputError
            If it does.
        """

    def take(self, folder: str, output: str) -> None:
        """Take the place for the run with this directory, or go on with it.

        Raises
        ------
        InputError
            If another run was faster.
        """

    def lock_file(self, folder: str) -> str:
        """Which file a run at work holds locked."""

    def are_whole(self, items: Sequence[StoredObject]) -> list[bool]:
        """Whether objects are there with the bytes that they were written with."""

    def finish(self, output: str, objects: int, zipped: bool = False) -> None:
        """Give the store its final name, or make one zip file of it; its documents are written.

        Raises
        ------
        ResumableError
            If something took that name in the meantime; or if the store is a folder that has fewer objects than were
            written, because somebody removed some.
        """

    def remove(self) -> None:
        """Remove all of it."""


def growth_of(place: Location) -> Growth:
    """The way in which a store grows at a place."""
    return _Prefix(place) if place.is_url else _Folder(place.address)


def check_files(folder: str, items: Sequence[StoredObject]) -> list[bool]:
    """Whether files have the bytes that they were written with."""

    def is_whole(item: StoredObject) -> bool:
        if item.key.startswith("/") or ".." in item.key.split("/"):
            return False  # no run of ours wrote it, and what lies elsewhere is nobody's business
        try:
            with open_file(os.path.join(folder, item.key)) as file:
                return hashlib.file_digest(file, "sha256").hexdigest() == item.sha256
        except (OSError, InputError):
            return False

    return [is_whole(item) for item in items]


class _Folder:
    """A folder beside the final one, on the same file system."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def check(self, folder: str, output: str) -> None:
        if os.path.lexists(output):
            raise _exists(output)

    def check_empty(self) -> None:
        if os.path.lexists(self._folder):
            raise InputError(f"{self._folder} is left over from another run; remove it to start over.")

    def take(self, folder: str, output: str) -> None:
        os.makedirs(self._folder, exist_ok=True)

    def lock_file(self, folder: str) -> str:
        return f"{self._folder}.lock"

    def are_whole(self, items: Sequence[StoredObject]) -> list[bool]:
        return check_files(self._folder, items)

    def finish(self, output: str, objects: int, zipped: bool = False) -> None:
        if os.path.lexists(output):
            raise ResumableError(
                f"The output {output} appeared during the run; the result is kept in {self._folder}: move the other "
                "one away and run the same command again."
            )
        if remove_temporaries(self._folder) < objects:
            raise ResumableError(
                f"Files that this run had written below {self._folder} were removed by something else; run the same "
                "command again to write them again."
            )
        os.makedirs(os.path.dirname(output), exist_ok=True)
        if zipped:
            write_zip(self._folder, output)
            self.remove()
        else:
            os.rename(self._folder, output)

    def remove(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


class _Prefix:
    """All objects below an S3 address."""

    def __init__(self, place: Location) -> None:
        self._place = place

    def check(self, folder: str, output: str) -> None:
        claim = read_key(self._place, CLAIM)
        if claim is not None:
            self._check_claim(claim, _claim_of(folder), output)
            return
        there = list_keys(self._place)
        if "zarr.json" in there:
            raise _exists(output)
        if there:
            raise InputError(f"{output} is not empty: it holds {there[0]}; remove it or choose another name.")

    def check_empty(self) -> None:
        """Whatever is there without a claim was refused already, whether the run begins or goes on."""

    def take(self, folder: str, output: str) -> None:
        ours = _claim_of(folder)
        if ours is None:
            ours = secrets.token_hex(16).encode()
            put_object(folder, CLAIM, ours)
        self._check_claim(claim_key(self._place, CLAIM, ours), ours, output)

    @staticmethod
    def _check_claim(claim: bytes, ours: bytes | None, output: str) -> None:
        if claim != ours:
            raise InputError(
                f"Another run has begun to write {output}: resume it in its own run directory, or remove what is "
                "there to start over."
            )

    def lock_file(self, folder: str) -> str:
        return f"{folder}.lock"

    def are_whole(self, items: Sequence[StoredObject]) -> list[bool]:
        """Ask for tags first: only where a tag is another, as after two workers wrote the same, bytes are read."""
        tags = tags_of(self._place, [item.key for item in items])
        whole = [tag is not None and tag == item.tag for tag, item in zip(tags, items, strict=True)]
        doubtful = [number for number, sure in enumerate(whole) if not sure]
        contents = contents_of(self._place, [items[number].key for number in doubtful])
        for number, content in zip(doubtful, contents, strict=True):
            whole[number] = content is not None and hashlib.sha256(content).hexdigest() == items[number].sha256
        return whole

    def finish(self, output: str, objects: int, zipped: bool = False) -> None:
        remove_keys(self._place, [CLAIM])

    def remove(self) -> None:
        # The claim last: what a killed removal leaves is still known to be ours.
        remove_keys(self._place, [key for key in list_keys(self._place) if key != CLAIM])
        remove_keys(self._place, [CLAIM])


def _claim_of(folder: str) -> bytes | None:
    """The number that only this run directory knows."""
    try:
        return read_file(os.path.join(folder, CLAIM))
    except FileNotFoundError:
        return None


def _exists(output: str) -> InputError:
    return InputError(f"The output {output} exists; remove it or choose another name.")
