"""How many of an array's chunks are there: the others read as the fill value, and should not do so unnoticed."""

from __future__ import annotations

import math
import os
import random
from dataclasses import dataclass

from chunkwise.errors import ChunkwiseError
from chunkwise.storage.arrays import open_array
from chunkwise.storage.chunk_files import chunk_stats
from chunkwise.storage.kv import tags_of
from chunkwise.storage.location import Location

__all__ = ["Share", "chunk_share"]

#: Chunks that are looked for at most: names in folders, and requests to servers.
MOST_FILES, MOST_REQUESTS = 2048, 64

#: Entries of folders that are gone through where none of those was there, before the array is called empty.
MOST_ENTRIES = 20_000


@dataclass(frozen=True)
class Share:
    """Of an array's chunks, or shards, how many are there; where there are very many, of some that chance chose."""

    found: int
    """Those that are there, also where they cannot be read."""
    looked_for: int
    total: int
    unreadable: int = 0
    """Of those that are there."""
    why: str = ""
    """Why the first of them cannot be read, in one sentence."""

    @property
    def sentence(self) -> str:
        """Such as ``12 of 64 chunks are there``."""
        among = "" if self.looked_for == self.total else f" looked for, of {self.total}"
        return f"{self.found} of {self.looked_for} chunks{among} {'is' if self.found == 1 else 'are'} there"


def chunk_share(location: Location) -> Share | None:
    """Count the chunks of an array that are there, in bounded time.

    Parameters
    ----------
    location : Location
        Of the array.

    Returns
    -------
    Share or None
        None where the server does not say whether something is there.
    """
    if location.foreign is not None:
        return None  # its reader says what is missing
    try:
        reader = open_array(location)
    except ChunkwiseError:
        return None
    counts = [-(-size // step) for size, step in zip(reader.shape, reader.files, strict=True)]
    total = math.prod(counts)
    most = MOST_REQUESTS if location.is_url else MOST_FILES
    numbers = range(total) if total <= most else sorted(random.Random(0).sample(range(total), most))
    keys = [reader.key(_index(number, counts)) for number in numbers]
    wrong: list[str] = []
    try:
        if location.is_url or location.archive is not None:
            found = sum(tag is not None for tag in tags_of(location, keys))
        else:
            found, wrong = _there(location, keys)
    except ChunkwiseError:
        return None
    on_disk = not location.is_url and location.archive is None
    if not found and len(keys) < total and on_disk and _holds_more(location.address):
        found, keys = 1, [*keys, ""]  # the one that was come upon
    return Share(found, len(keys), total, len(wrong), wrong[0] if wrong else "")


def _index(number: int, counts: list[int]) -> tuple[int, ...]:
    index = []
    for count in reversed(counts):
        number, place = divmod(number, count)
        index.append(place)
    return tuple(reversed(index))


def _there(location: Location, keys: list[str]) -> tuple[int, list[str]]:
    """Count the files; one that is there and cannot be read is an error to whoever reads it, and not yet here."""
    found = 0
    wrong: list[str] = []
    for key in keys:
        try:
            found += next(status for _, status in chunk_stats(location, (key,))) is not None
        except ChunkwiseError as error:
            found += 1
            wrong.append(str(error))
    return found, wrong


def _holds_more(folder: str) -> bool:
    """Whether a folder of chunks holds one, as far as a bounded look at it shows."""
    left, folders = MOST_ENTRIES, [folder]
    while folders and left > 0:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    left -= 1
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.name[-1].isdecimal():  # metadata end otherwise
                        return True
                    if left <= 0:
                        break
        except OSError:
            continue
    return False
