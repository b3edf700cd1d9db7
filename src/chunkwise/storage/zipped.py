"""Stores in a zip file (RFC-9 of OME-Zarr): its entries are the objects of the store, and are read in place.

What an entry holds counts only after all of it was read once by this process and had the CRC that the directory
says, also where only a part is wanted, such as one chunk of a shard; small entries are kept for a moment, so that
the next part need not be read again. Entries are stored or deflated, and no more is unpacked at a time than is
asked for.
"""

from __future__ import annotations

import os
import threading
import weakref
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import unquote

from chunkwise.errors import InputError
from chunkwise.files import file_signature, open_file
from chunkwise.storage.location import Location
from chunkwise.storage.remote import SERVER_ERRORS, context, explain, kvstore_spec
from chunkwise.storage.zip_directory import DEFLATED, LINK, STORED, Entry, local_header, read_directory

__all__ = ["Archive", "archive_of", "forget", "key_in", "signature_of"]

#: Bytes that are read and unpacked at a time.
PIECE = 2**20

#: Entries of no more bytes are kept after they were read, and so many bytes of them together.
SMALL, KEPT = 8 * 2**20, 32 * 2**20

#: What an entry's own header may have beyond what the directory says of it: times, owners.
ROOM = 128


class Archive:
    """A zip file."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._source: _Remote | _File = _Remote(location) if location.is_url else _File(location)
        self._entries, self._named_folders, self._end = read_directory(self._source)
        self._starts: dict[str, int] = {}
        """Where the bytes of entries begin."""
        self._whole: set[str] = set()
        """Entries that were found whole."""
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def tag(self, key: str) -> str | None:
        """What the directory says of an entry's bytes; None where there is none."""
        entry = self._entries.get(key)
        return None if entry is None else f"{entry.crc:08x}:{entry.size}"

    def check_absent(self, key: str) -> None:
        """Refuse to call an entry absent in whose place something else lies, as with files.

        Raises
        ------
        InputError
            If a folder has its name, or a file that of one of its folders.
        """
        parts = key.split("/")
        if any("/".join(parts[:count]) in self._entries for count in range(1, len(parts))):
            why = "there is a file where one of its folders should be"
        elif key in self._folders:
            why = "it is not a file but a folder"
        else:
            return
        raise InputError(f"The entry '{key}' of the zip file {self._source.name} cannot be read: {why}.")

    @cached_property
    def _folders(self) -> frozenset[str]:
        found = set(self._named_folders)
        for key in self._entries:
            while (key := key.rpartition("/")[0]) and key not in found:
                found.add(key)
        return frozenset(found)

    def sizes(self) -> dict[str, int]:
        """Bytes of the entries, as the directory says them."""
        return {key: entry.size for key, entry in self._entries.items()}

    def read(
        self, key: str, start: int | None = None, stop: int | None = None, largest: int | None = None
    ) -> bytes | None:
        """Read an entry, or a part of it; None where there is none.

        Parameters
        ----------
        key : str
            Its name.
        start, stop : int, optional
            As of a slice.
        largest : int, optional
            Bytes that the whole entry may have.

        Raises
        ------
        InputError
            If it is damaged, too large, or in a form that is not read.
        ResumableError
            If the server does not answer.
        """
        entry = self._entries.get(key)
        if entry is None:
            return None
        if largest is not None and entry.size > largest:
            raise InputError(
                f"The entry '{key}' of the zip file {self._source.name} says that it has {entry.size} bytes, and it "
                f"can need {largest} at most; it is damaged or made to do harm."
            )
        begin, end, _ = slice(start, stop).indices(entry.size)
        with self._lock:
            content = self._kept.get(key)
        if content is None and ((begin, end) == (0, entry.size) or entry.size <= SMALL):
            content = b"".join(self.pieces(key))
            self._keep(key, content)
        if content is not None:
            return content[begin:end]
        if key not in self._whole:
            for _piece in self.pieces(key):
                pass
        if entry.method == STORED:
            first = self._starts[key]
            content = self._source.read(first + begin, first + end)
            if len(content) != max(0, end - begin):
                raise self._damaged(key, "it is cut short")
            return content
        return b"".join(_cut(self.pieces(key), begin, end))

    def pieces(self, key: str) -> Iterator[bytes]:
        """Read an entry piece by piece; that it was whole is known when the last one has come.

        Raises
        ------
        InputError, ResumableError
            As :meth:`read`.
        """
        entry = self._entries[key]
        if entry.method not in (STORED, DEFLATED):
            what = "is a symbolic link" if entry.method == LINK else f"is compressed by method {entry.method}"
            raise InputError(
                f"The entry '{key}' of the zip file {self._source.name} {what}, and only stored or "
                "deflated entries are read."
            )
        crc = size = 0
        packed = self._packed(key, entry)
        try:
            for piece in _inflated(packed) if entry.method == DEFLATED else packed:
                crc, size = zlib.crc32(piece, crc), size + len(piece)
                if size > entry.size:
                    raise self._damaged(key, f"it holds more than the {entry.size} bytes that it states")
                yield piece
        except zlib.error:
            raise self._damaged(key, "its compressed data cannot be unpacked") from None
        if size != entry.size or crc != entry.crc:
            raise self._damaged(key, "its checksum (CRC) differs")
        self._whole.add(key)

    def _packed(self, key: str, entry: Entry) -> Iterator[bytes]:
        """The bytes as they lie in the file; the header is read with the first of them."""
        room = 30 + len(key.encode()) + ROOM
        content = self._source.read(entry.offset, min(entry.offset + room + min(entry.packed, PIECE), self._end))
        header = local_header(content)
        if header is None or entry.offset + header + entry.packed > self._end:
            raise self._damaged(key, "it does not begin where the directory says")
        start, stop = entry.offset + header, entry.offset + header + entry.packed
        self._starts[key] = start
        content = content[header : header + entry.packed]
        yield content
        at = start + len(content)
        while at < stop:
            content = self._source.read(at, min(at + self._source.piece, stop))
            if not content:
                raise self._damaged(key, "it is cut short")
            yield content
            at += len(content)

    def _keep(self, key: str, content: bytes) -> None:
        if len(content) > SMALL:
            return
        with self._lock:
            self._kept[key] = content
            while sum(map(len, self._kept.values())) > KEPT:
                self._kept.popitem(last=False)

    def _damaged(self, key: str, why: str) -> InputError:
        return InputError(
            f"The entry '{key}' of the zip file {self._source.name} is damaged: {why}; copy it again, or make it again."
        )


class _File:
    """A zip file on this machine; it stays open, so that all of it is read from the same file."""

    piece = PIECE

    def __init__(self, location: Location) -> None:
        self.name = location.address
        try:
            with open_file(self.name, self._allows(location), what="zip file") as file:
                self._handle = os.dup(file.fileno())
            weakref.finalize(self, os.close, self._handle)
            self._size = os.fstat(self._handle).st_size
        except OSError as error:
            raise self._unreadable(error) from None

    @staticmethod
    def _allows(location: Location) -> Callable[[str], bool]:
        # The policy may have allowed no more than a folder in it.
        return lambda real: real == location.address or location.allows(real)

    def tail(self, count: int) -> tuple[bytes, int | None]:
        """Read the last bytes."""
        return self.read(max(0, self._size - count), self._size), self._size

    def read(self, start: int, stop: int) -> bytes:
        """Read a range."""
        pieces = []
        try:
            while start < stop and (piece := os.pread(self._handle, stop - start, start)):
                pieces.append(piece)
                start += len(piece)
        except OSError as error:
            raise self._unreadable(error) from None
        return b"".join(pieces)

    def _unreadable(self, error: OSError) -> InputError:
        return InputError(f"{self.name} cannot be read: {os.strerror(error.errno or 0)}.")


class _Remote:
    """A zip file on a web server or on S3, of which ranges are asked for."""

    piece = 8 * PIECE

    def __init__(self, location: Location) -> None:
        import tensorstore as ts

        self.name = location.address
        self._location = location
        above, _, name = location.address.rpartition("/")
        self._key = unquote(name)
        spec, shared = kvstore_spec(replace(location, address=above)), context()
        self._store: Any = self._ask(lambda: ts.KvStore.open(spec, context=shared).result())

    def tail(self, count: int) -> tuple[bytes, int | None]:
        """Read the last bytes; how many there are before is not asked for."""
        try:
            return self._read(slice(-count, None)), None
        except _TooShort:
            content = self._read(slice(None))
            return content, len(content)

    def read(self, start: int, stop: int) -> bytes:
        """Read a range."""
        try:
            return self._read(slice(start, stop)) if start < stop else b""
        except _TooShort:
            return b""

    def _read(self, part: slice) -> bytes:
        found = self._ask(lambda: self._store.read(self._key, byte_range=part).result())
        if found.state != "value":
            raise InputError(f"There is nothing at {self.name}.")
        return bytes(found.value)

    def _ask(self, request: Callable[[], Any]) -> Any:
        try:
            return request()
        except SERVER_ERRORS as error:
            if str(error).startswith("OUT_OF_RANGE"):
                raise _TooShort from None
            raise explain(self._location, error) from None


class _TooShort(Exception):
    """A file has fewer bytes than were asked for."""


def archive_of(location: Location) -> Archive:
    """The zip file that a location lies in; opened once a process, as long as it is the same file.

    Raises
    ------
    InputError
        If it cannot be read, or is damaged.
    PolicyError
        If a link that was put in its place leads to what the policy does not allow.
    ResumableError
        If its server does not answer.
    """
    return _open(location.zip_top(), signature_of(location))


def signature_of(location: Location) -> tuple[int, ...] | None:
    """What tells another zip file of the same name; on a server it is opened once, until :func:`forget`."""
    if location.is_url:
        return None
    return file_signature(location.archive or "")


@lru_cache(maxsize=16)
def _open(location: Location, _: tuple[int, ...] | None) -> Archive:
    return Archive(location)


def forget() -> None:
    """Open zip files anew from now on, since one on a server may have become another without a sign."""
    _open.cache_clear()


def key_in(location: Location, key: str = "") -> str:
    """The name of an entry that lies below a location: what stands in its address after the zip file."""
    inner = location.address[len(location.archive or "") :].strip("/")
    inner = unquote(inner) if location.is_url else inner
    return f"{inner}/{key}".strip("/")


def _inflated(packed: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack what was deflated, a bounded piece at a time however much it would make."""
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    for content in packed:
        while True:
            piece = unpacker.decompress(content, PIECE)
            if piece:
                yield piece
            content = unpacker.unconsumed_tail
            if not content and len(piece) < PIECE:
                break


def _cut(pieces: Iterator[bytes], begin: int, end: int) -> Iterator[bytes]:
    """Keep of a stream of pieces what lies between two places."""
    at = 0
    for piece in pieces:
        if at >= end:
            return
        yield piece[max(0, begin - at) : max(0, end - at)]
        at += len(piece)
