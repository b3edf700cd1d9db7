"""What zip files look like to zarr-python: a store that is read only.

Imported by who needs it only, because zarr-python takes long to import.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Self

from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import Buffer, BufferPrototype

from chunkwise.storage.location import Location
from chunkwise.storage.zarr_store import part_of
from chunkwise.storage.zipped import archive_of, key_in

__all__ = ["ZippedStore"]


class ZippedStore(Store):
    """What lies below a location inside a zip file."""

    supports_writes = False
    supports_deletes = False
    supports_listing = False

    largest: int | None = None
    """Bytes that a chunk, or a shard, may have."""

    def __init__(self, location: Location) -> None:
        super().__init__(read_only=True)
        self._location = location

    def with_read_only(self, read_only: bool = False) -> Self:
        """Return itself, which is read only."""
        return self

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ZippedStore) and self._location == other._location

    __hash__ = None  # type: ignore[assignment]

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        """Read one entry, or a part of it; None where there is none."""
        part = part_of(byte_range)
        archive = archive_of(self._location)
        name = key_in(self._location, key)
        content = await asyncio.to_thread(archive.read, name, part.start, part.stop, self.largest)
        if content is None:
            archive.check_absent(name)
            return None
        return prototype.buffer.from_bytes(content)

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of entries."""
        return [await self.get(key, prototype, part) for key, part in key_ranges]

    async def exists(self, key: str) -> bool:
        """Whether there is such an entry."""
        return key_in(self._location, key) in archive_of(self._location)

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse."""
        raise NotImplementedError

    async def delete(self, key: str) -> None:
        """Refuse."""
        raise NotImplementedError

    def list(self) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """Refuse."""
        raise NotImplementedError
