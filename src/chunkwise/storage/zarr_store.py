"""What zarr-python reads from, where it reads at all: files by handle, as :mod:`chunkwise.storage.arrays` has it.

Imported by who needs it only, because zarr-python takes long to import.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
from typing import Self

from zarr.abc.store import ByteRequest, OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.core.buffer import Buffer, BufferPrototype
from zarr.core.buffer.core import default_buffer_prototype
from zarr.storage import LocalStore

from chunkwise.files import unreadable
from chunkwise.storage.chunk_files import hold_chunk
from chunkwise.storage.fingerprint import METADATA_NAMES
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location

__all__ = ["HeldStore", "part_of"]


class HeldStore(LocalStore):
    """A folder that is read only: absent is what is not there, and all else that is not read is an error."""

    largest: int | None = None
    """Bytes that the file of a chunk may have."""

    def __init__(self, location: Location) -> None:
        super().__init__(location.address, read_only=True)
        self._location = location

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return itself, which is read only."""
        return self

    def get_sync(
        self, key: str, *, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read one object, or a part of it; None where there is none."""
        content = self._read(key, byte_range)
        return None if content is None else (prototype or default_buffer_prototype()).buffer.from_bytes(content)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read one object, or a part of it; None where there is none."""
        return self.get_sync(key, prototype=prototype, byte_range=byte_range)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of objects."""
        return [self.get_sync(key, prototype=prototype, byte_range=part) for key, part in key_ranges]

    def _read(self, key: str, byte_range: ByteRequest | None) -> bytes | None:
        if posixpath.basename(key) in (*METADATA_NAMES, ".zmetadata"):
            return read_key(self._location, key)
        held = hold_chunk(self._location, key, self.largest)
        if held is None:
            return None
        try:
            with open(held.path, "rb") as file:
                return _read_part(file.fileno(), held.status.st_size, part_of(byte_range))
        except OSError as error:
            raise unreadable(f"{self._location.address}/{key}", error, "chunk") from None
        finally:
            held.close()


def part_of(byte_range: ByteRequest | None) -> slice:
    """The bytes that zarr-python asks for, as a slice."""
    if isinstance(byte_range, RangeByteRequest):
        return slice(byte_range.start, byte_range.end)
    if isinstance(byte_range, OffsetByteRequest):
        return slice(byte_range.offset, None)
    if isinstance(byte_range, SuffixByteRequest):
        return slice(-byte_range.suffix, None)
    return slice(None)


def _read_part(handle: int, size: int, part: slice) -> bytes:
    begin, end, _ = part.indices(size)
    pieces = []
    while begin < end and (piece := os.pread(handle, end - begin, begin)):
        pieces.append(piece)
        begin += len(piece)
    return b"".join(pieces)
