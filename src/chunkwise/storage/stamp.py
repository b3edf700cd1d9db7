"""Stamps: whether what a run reads stayed as it was, from what file systems and servers say of it without reading it.

Of a file that is size, time of change, time of change of its status, and inode: the third cannot be set by anybody, so
that also a file with its old size and time is seen to be another. Of an object on a server it is the server's tag; of
one in a zip file, what is said of the zip file, or on a server, what its directory says, which is read anew every time.
The objects of a file of another format are files: itself, and those that belong to it.

A stamp holds sums of hashes over groups of objects, a few dozen however many objects there are. It takes some
microseconds an object, and never more than :data:`SECONDS`: objects are taken in an order that is spread over the array
and the same every time, so that what was reached in the time is a sample, and one stamp can be held to another.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from math import gcd, prod
from typing import Any, NamedTuple

from chunkwise.errors import InputError
from chunkwise.storage.arrays import Box, open_array
from chunkwise.storage.foreign import foreign_store
from chunkwise.storage.kv import tags_of
from chunkwise.storage.location import Location
from chunkwise.storage.objects import path_of
from chunkwise.storage.zipped import forget

__all__ = ["SECONDS", "Objects", "Stamp", "Swept", "kind_of", "sweep"]

#: What a stamp of a kind is made of, in words for records.
KINDS = {
    "stat": "size, mtime, ctime, inode",
    "stat-without-inode": "size, mtime, ctime",
    "tags": "tags of the server",
    "directory": "checksums in the directory of the zip file",
    "none": "",
}

#: How long one stamp may take, by where the objects lie: on files, in S3, on a web server, which is other people's.
SECONDS = {"file": 60.0, "s3": 60.0, "http": 10.0}

#: Objects of the first group; each later one has half as many as all before it.
FIRST = 1024

#: Objects that lie beside each other and stay together in the order, for the sake of the disk.
TOGETHER = 64

#: Threads that ask a file system, whose answers may be slow; a server is asked many things at once by one.
THREADS = 8

#: Objects that a thread asks for at a time.
PIECE = 512

#: Clocks of file systems tick this coarsely (nanoseconds).
TICK = 20_000_000

_MODULUS = 2**128

#: What tensorstore gives where a server has no tags.
_NO_TAGS = ("", "\x10")


class Objects:
    """The chunks, or shards, of an array that lie in boxes, in an order of their own; or the files that are no Zarr.

    Parameters
    ----------
    array : Location
        Of the array.
    boxes : sequence of tuple of slice
        What is read, all axes; boxes may differ along one axis.
    """

    def __init__(self, array: Location, boxes: Sequence[Box]) -> None:
        self.array = array
        self._key: Callable[[tuple[int, ...]], str]
        if array.foreign is not None:
            files = foreign_store(array).files
            self._key, self._axes = lambda index: files[index[0]], [list(range(len(files)))]
        else:
            reader = open_array(array)
            self._key = reader.key
            self._axes = [
                sorted({n for part in parts for n in range(part.start // size, -(-part.stop // size))})
                for parts, size in zip(zip(*boxes, strict=True), reader.files, strict=True)
            ]
        self.count = prod(len(axis) for axis in self._axes)
        blocks = self.count // TOGETHER
        self._blocks, self._step = (
            blocks,
            next(n for n in range(max(1, blocks * 5 // 8), 2 * blocks + 2) if gcd(n, blocks or 1) == 1),
        )

    def keys(self, part: Iterable[int]) -> Iterator[str]:
        """Give the keys of numbers in the order."""
        for number in part:
            block, inner = divmod(number, TOGETHER)
            left = block * self._step % self._blocks * TOGETHER + inner if block < self._blocks else number
            index = []
            for axis in reversed(self._axes):
                left, place = divmod(left, len(axis))
                index.append(axis[place])
            yield self._key(tuple(reversed(index)))


@dataclass(frozen=True)
class Stamp:
    """What objects were like at one time."""

    kind: str
    """One of :data:`KINDS`."""
    count: int
    """Of the objects."""
    groups: tuple[tuple[int, int], ...] = ()
    """Of each group the number behind its last object, and the sum of hashes."""
    left_out: tuple[str, ...] = ()
    """Keys of objects that do not count, because they could not be read."""

    @property
    def reached(self) -> int:
        """Objects that it covers."""
        return self.groups[-1][0] if self.groups else 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        groups = [[end, f"{total:032x}"] for end, total in self.groups]
        return {"kind": self.kind, "count": self.count, "groups": groups, "left_out": list(self.left_out)}

    @classmethod
    def from_dict(cls, content: Any) -> Stamp:
        """Read the JSON form.

        Raises
        ------
        ValueError
            If it is none.
        """
        try:
            groups = tuple((int(end), int(total, 16)) for end, total in content["groups"])
            stamp = cls(str(content["kind"]), int(content["count"]), groups, tuple(map(str, content["left_out"])))
        except (KeyError, TypeError):
            raise ValueError("no stamp") from None
        ends = [0, *(end for end, _ in groups)]
        if stamp.kind not in KINDS or ends != sorted(set(ends)) or stamp.reached > stamp.count:
            raise ValueError("no stamp")
        return stamp


@dataclass
class Swept:
    """What was found of objects in the time that there was."""

    groups: list[tuple[int, int]] = field(default_factory=list)
    """As of a stamp; without the objects that were left out."""
    beside: list[int] = field(default_factory=list)
    """For each group, the sum of those that were left out."""
    newest: int = 0
    """The latest change of a file, in nanoseconds since 1970."""
    tags: bool = True
    """Whether the server has tags."""

    @property
    def reached(self) -> int:
        """Objects that were looked at."""
        return self.groups[-1][0] if self.groups else 0

    def fits(self, stamp: Stamp) -> bool:
        """Whether all that was looked at is as it was."""
        return all(now == before for now, before in zip(self.groups, stamp.groups, strict=False))


def kind_of(array: Location) -> str:
    """Say which kind of stamp there is of an array.

    File systems of users (FUSE, such as sshfs or a mounted bucket) number files as they go: the same file may have
    another inode an hour later.
    """
    if array.is_url:
        return "tags" if array.archive is None else "directory"
    return "stat-without-inode" if _file_system(array.archive or array.address).startswith("fuse") else "stat"


def sweep(objects: Objects, kind: str, left_out: Iterable[str] = (), ends: Sequence[int] | None = None) -> Swept:
    """Look at objects, in their order, as far as time allows.

    Parameters
    ----------
    objects : Objects
        What to look at.
    kind : str
        Of the stamp.
    left_out : iterable of str
        Keys that are summed up beside the others.
    ends : sequence of int, optional
        Where the groups of another stamp end, to be held against it: a group that is not done in time is left out.
        By default groups are new, and the last one ends where the time does.

    Raises
    ------
    ResumableError
        If a server does not answer.
    """
    found, beside = Swept(), frozenset(left_out)
    if kind == "none":
        return found
    place = "file" if not objects.array.is_url else "http" if objects.array.s3 is None else "s3"
    until = time.monotonic() + SECONDS[place]
    if kind == "directory":
        forget()
    size, threads = (PIECE, THREADS) if place == "file" else (TOGETHER, 1)

    def look(part: range) -> _Sum | None:
        if time.monotonic() > until:
            return None
        keys = list(objects.keys(part))
        return _files(objects.array, keys, kind, beside) if place == "file" else _tags(objects.array, keys, beside)

    begin = 0
    with ThreadPoolExecutor(threads) as pool:
        for end in _ends(objects.count) if ends is None else ends:
            parts = [range(first, min(first + size, end)) for first in range(begin, end, size)]
            total, others = 0, 0
            for part, one in zip(parts, pool.map(look, parts) if len(parts) > 1 else map(look, parts), strict=True):
                if one is None:
                    break
                total, others, begin = total + one.total, others + one.beside, part.stop
                found.newest, found.tags = max(found.newest, one.newest), found.tags and one.tags
            late = begin < end
            if begin > found.reached and not (late and ends is not None):
                found.groups.append((begin, total % _MODULUS))
                found.beside.append(others % _MODULUS)
            if late:
                break
    return found


class _Sum(NamedTuple):
    total: int = 0
    beside: int = 0
    newest: int = 0
    tags: bool = True


def _ends(count: int) -> Iterator[int]:
    end = FIRST
    while end < count:
        yield end
        end += end // 2
    yield count


def _files(array: Location, keys: Sequence[str], kind: str, beside: frozenset[str]) -> _Sum:
    total, others, newest = 0, 0, 0
    for key in keys:
        path = path_of(array, key)
        try:
            status = _status(path)
        except OSError as error:
            value = str(error.errno)
        else:
            if status is None:
                continue
            value = f"{status.st_size}:{status.st_mtime_ns}:{status.st_ctime_ns}"
            if kind == "stat":
                value += f":{status.st_ino}"
            newest = max(newest, status.st_mtime_ns, status.st_ctime_ns)
        if key in beside:
            others += _hash(key, value)
        else:
            total += _hash(key, value)
    return _Sum(total, others, newest)


def _status(path: str) -> os.stat_result | None:
    """What a chunk's file is, or the file that it lies in; None where there is none."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        return _status(os.path.dirname(path))


def _tags(array: Location, keys: Sequence[str], beside: frozenset[str]) -> _Sum:
    total, others, tagged = 0, 0, True
    for key, tag in zip(keys, _tags_of(array, keys), strict=True):
        if tag is None:
            continue
        tagged = tagged and tag not in _NO_TAGS
        if key in beside:
            others += _hash(key, tag)
        else:
            total += _hash(key, tag)
    return _Sum(total, others, 0, tagged)


def _tags_of(array: Location, keys: Sequence[str]) -> list[str | None]:
    try:
        return list(tags_of(array, keys))
    except InputError:
        if len(keys) == 1:
            return ["refused"]  # whoever reads it says so
        return [tag for key in keys for tag in _tags_of(array, [key])]


def _hash(key: str, value: str) -> int:
    text = f"{key}\0{value}".encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(text, digest_size=16).digest(), "little")


def _file_system(path: str) -> str:
    """Type of the file system that a path lies on; nothing where the system does not tell."""
    try:
        device = os.stat(path).st_dev
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                before, _, after = line.partition(" - ")
                if before.split()[2] == f"{os.major(device)}:{os.minor(device)}":
                    return after.split()[0]
    except (OSError, IndexError):
        pass
    return ""
