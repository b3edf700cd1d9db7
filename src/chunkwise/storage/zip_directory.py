"""The directory at the end of a zip file: which entries there are, where they lie, and how large they are.

Read and judged by our own few lines rather than by Python's ``zipfile``, because it is read in two requests from a web
server too, whose files have no size that could be asked for; because what is refused is refused by a sentence; and
because tensorstore's driver for zip files leaves out what it cannot read, so that a chunk would pass for an absent one.
The format is PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.
"""

from __future__ import annotations

import stat
import struct
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from chunkwise.errors import InputError

__all__ = ["DEFLATED", "LINK", "STORED", "TAIL", "Entry", "Source", "local_header", "read_directory"]

STORED, DEFLATED = 0, 8
#: In place of a method: the entry is a symbolic link, whose bytes are a name.
LINK = -1

#: Bytes at the end of a file that are read at first: the longest comment, and the records before it.
TAIL = 0xFFFF + 22 + 20 + 56

#: Bytes of a directory at most: some million entries.
LARGEST = 96 * 2**20

_END = struct.Struct("<4s4H2IH")
_LOCATOR = struct.Struct("<4sIQI")
_END64 = struct.Struct("<4sQ2H2I4Q")
_ENTRY = struct.Struct("<4s6H3I5H2I")
_LOCAL = struct.Struct("<4s5H3I2H")


class Entry(NamedTuple):
    """One file in a zip file."""

    offset: int
    """Of its own header."""
    packed: int
    size: int
    crc: int
    method: int


class Source(Protocol):
    """A file that is read in pieces."""

    name: str
    """What errors call it."""

    def tail(self, count: int) -> tuple[bytes, int | None]:
        """Read the last bytes, or the whole file where it has no more; and its size, where that is known."""

    def read(self, start: int, stop: int) -> bytes:
        """Read a range; fewer bytes where the file ends."""


def read_directory(source: Source) -> tuple[dict[str, Entry], frozenset[str], int]:
    """Read which entries a zip file has.

    Returns
    -------
    entries : dict
        By name, without those that stand for folders.
    folders : frozenset of str
        The names of those, without the stroke at their end.
    start : int
        Where the directory begins, and the entries end.

    Raises
    ------
    InputError
        If it is damaged, encrypted or in several parts, if a name leads elsewhere or is there twice, or if it is too
        large.
    """
    tail, size = source.tail(TAIL)
    count, length, start, end = _find(source.name, tail)
    if size is not None and end != size:
        raise _damaged(source.name, "its directory is not where it says")
    if length > LARGEST:
        raise InputError(
            f"The zip file {source.name} has a directory of {length} bytes, and at most {LARGEST} are read; write "
            "the image in shards, which gives far fewer entries."
        )
    before = end - len(tail)
    directory = tail[start - before :][:length] if start >= before else source.read(start, start + length)
    entries: dict[str, Entry] = {}
    names: set[str] = set()
    spans: list[tuple[int, int]] = []
    for name, entry in _entries(source.name, directory, count):
        if name in names:
            raise InputError(f"The zip file {source.name} has two entries named {name!r}; make it again.")
        names.add(name)
        spans.append((entry.offset, entry.offset + _LOCAL.size + entry.packed))
        if not name.endswith("/"):
            entries[name] = entry
    spans.sort()
    ends = [offset for offset, _ in spans[1:]] + [start]
    if any(stop > following for (_, stop), following in zip(spans, ends, strict=False)):
        raise _damaged(source.name, "its entries overlap, or reach beyond their place")
    return entries, frozenset(name[:-1] for name in names.difference(entries)), start


def local_header(content: bytes) -> int | None:
    """Length of the header that stands before an entry's bytes; None where there is none."""
    if len(content) < _LOCAL.size:
        return None
    fields = _LOCAL.unpack_from(content)
    return None if fields[0] != b"PK\3\4" else _LOCAL.size + int(fields[9]) + int(fields[10])


def _find(name: str, tail: bytes) -> tuple[int, int, int, int]:
    """Number of entries, size and place of the directory, and where the file ends by what it says itself."""
    at = len(tail)
    while (at := tail.rfind(b"PK\5\6", 0, at)) >= 0:
        if at + _END.size <= len(tail) and at + _END.size + _END.unpack_from(tail, at)[7] == len(tail):
            break
    if at < 0:
        raise _damaged(name, "it has no directory at its end, as after a copy that was cut short")
    _, disk, first_disk, here, count, length, start, _ = _END.unpack_from(tail, at)
    large = 0xFFFF in (disk, first_disk, here, count) or 0xFFFFFFFF in (length, start)
    place, stop = at, start + length
    if large:
        place = at - _LOCATOR.size - _END64.size
        if place < 0 or tail[place : place + 4] != b"PK\6\6" or tail[at - _LOCATOR.size :][:4] != b"PK\6\7":
            raise _damaged(name, "it lacks the records of a large zip file")
        _, other_disk, stop, disks = _LOCATOR.unpack_from(tail, at - _LOCATOR.size)
        _, _, _, _, disk, first_disk, here, count, length, start = _END64.unpack_from(tail, place)
        if disks > 1 or other_disk:
            disk = 1
    if disk or first_disk or here != count:
        raise InputError(f"{name} is one part of a zip file in several parts, which are not read; join them.")
    if start + length > stop or count * _ENTRY.size > length:
        raise _damaged(name, "its directory is not where it says")
    return count, length, start, stop + len(tail) - place


def _entries(name: str, directory: bytes, count: int) -> Iterator[tuple[str, Entry]]:
    at = 0
    for _ in range(count):
        if at + _ENTRY.size > len(directory) or directory[at : at + 4] != b"PK\1\2":
            raise _damaged(name, "its directory is cut short")
        fields = _ENTRY.unpack_from(directory, at)
        made, flags, method, crc, packed, size = (fields[i] for i in (1, 3, 4, 7, 8, 9))
        lengths, disk, attributes, offset = fields[10:13], fields[13], fields[15], fields[16]
        at += _ENTRY.size
        raw, extra = directory[at : at + lengths[0]], directory[at + lengths[0] : at + lengths[0] + lengths[1]]
        at += sum(lengths)
        if at > len(directory):
            raise _damaged(name, "its directory is cut short")
        size, packed, offset, disk = _large(name, extra, size, packed, offset, disk)
        key = _name(name, raw, bool(flags & 0x800))
        if flags & 0x2041:
            raise InputError(
                f"The entry {key!r} of the zip file {name} is encrypted, and encrypted entries are not read."
            )
        if disk:
            raise InputError(f"{name} is one part of a zip file in several parts, which are not read; join them.")
        if method == STORED and size != packed:
            raise _damaged(name, f"the entry {key!r} has two sizes")
        is_link = made >> 8 == 3 and stat.S_ISLNK(attributes >> 16)
        yield key, Entry(offset, packed, size, crc, LINK if is_link else method)


def _large(name: str, extra: bytes, *values: int) -> tuple[int, ...]:
    """Put in what did not fit into the entry's own fields: size, packed size, offset, number of the part."""
    wanted = [value == limit for value, limit in zip(values, (2**32 - 1, 2**32 - 1, 2**32 - 1, 2**16 - 1), strict=True)]
    if not any(wanted):
        return values
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            found, place = [], at + 4
            for value, much, form in zip(values, wanted, "QQQI", strict=True):
                room = struct.calcsize(f"<{form}")
                if much and place + room > min(at + 4 + length, len(extra)):
                    break
                found.append(struct.unpack_from(f"<{form}", extra, place)[0] if much else value)
                place += room if much else 0
            else:
                return tuple(found)
        at += 4 + length
    raise _damaged(name, "an entry lacks its sizes")


def _name(name: str, raw: bytes, is_utf8: bool) -> str:
    """Read an entry's name, which has to be a plain path below the root."""
    try:
        key = raw.decode()
    except UnicodeDecodeError:
        if is_utf8:
            raise _damaged(name, "the name of an entry is not in UTF-8") from None
        key = raw.decode("cp437")
    parts = key.removesuffix("/").split("/")
    if "\\" in key or "\0" in key or ":" in parts[0] or any(part in ("", ".", "..") for part in parts):
        raise InputError(
            f"The zip file {name} has an entry named {key!r}, which is not a plain path below its top; make it again."
        )
    return key


def _damaged(name: str, why: str) -> InputError:
    return InputError(f"The zip file {name} is damaged: {why}; copy it again, or make a new one.")
