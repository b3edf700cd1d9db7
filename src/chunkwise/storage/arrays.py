"""Reading Zarr arrays where they lie.

tensorstore reads everything it knows the codecs of; zarr-python reads the rest (Zarr v2 with lz4,
lzma or filters). Nothing is cached between reads: a block reads its chunks once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product
from math import prod
from typing import Any, Protocol

import numpy as np

from chunkwise.errors import ChunkwiseError, InputError, PolicyError
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location
from chunkwise.storage.remote import SERVER_ERRORS, context, explain, kvstore_spec, words_of
from chunkwise.storage.zipped import signature_of

__all__ = ["ArrayReader", "Box", "open_array"]

Box = tuple[slice, ...]


class ArrayReader(Protocol):
    """A readable array; ``read`` returns native byte order, absent chunks as the fill value."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    chunks: tuple[int, ...]
    """What is read at once: the inner chunks of a sharded array."""

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        """Read a box given by slices with start and stop, one an axis.

        Raises
        ------
        InputError
            If a chunk is damaged or refused.
        ResumableError
            If the array's server does not answer.
        """


def open_array(location: Location) -> ArrayReader:
    """Open the array at a location; a process opens each array once, as long as its metadata are the same file.

    A remote array is opened once in any case: its metadata are not asked for again with every block.

    Raises
    ------
    InputError
        If there is no array, or no codec for it.
    ResumableError
        If its server does not answer.
    """
    if location.archive is not None:
        return _open_array(location, signature_of(location))
    return _open_array(location, None if location.is_url else _signature(location.address))


def _signature(folder: str) -> tuple[int, int] | None:
    """What tells another array of the same name: its metadata file's inode and time."""
    for name in ("zarr.json", ".zarray"):
        try:
            status = os.stat(os.path.join(folder, name))
        except OSError:
            continue
        return status.st_ino, status.st_mtime_ns
    return None


@lru_cache(maxsize=64)
def _open_array(location: Location, _: tuple[int, ...] | None) -> ArrayReader:
    version = 3 if read_key(location, "zarr.json") is not None else 2
    if version == 2 and read_key(location, ".zarray") is None:
        raise InputError(f"There is no Zarr array at {location.address}.")
    if location.archive is not None:
        # tensorstore's driver for zip files looks at no checksum, and takes what it cannot unpack for absent.
        return _ZarrReader(location, version)
    import tensorstore as ts

    spec = {"driver": "zarr3" if version == 3 else "zarr", "kvstore": kvstore_spec(location)}
    try:
        return _TensorstoreReader(location, ts.open(spec, open=True, read=True, context=context()).result())
    except (*SERVER_ERRORS, NotImplementedError) as error:
        if location.is_url:
            raise explain(location, error) from None
        return _ZarrReader(location, version)


class _TensorstoreReader:
    def __init__(self, location: Location, array: Any) -> None:
        self._location, self._array = location, array
        self.shape = tuple(array.shape)
        self.dtype = np.dtype(array.dtype.numpy_dtype)
        self.chunks = tuple(array.chunk_layout.read_chunk.shape)

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        if _links_matter(self._location):
            _refuse_links(self._location, self._keys(box))
        try:
            data = self._array[box].read().result()
        except SERVER_ERRORS as error:
            if self._location.is_url:
                raise explain(self._location, error) from None
            raise InputError(_explain(self._location, error)) from None
        return np.asarray(data)

    def _keys(self, box: Box) -> Iterator[str]:
        """Keys of the chunks, or of the shards, that a box lies in."""
        codec = self._array.spec().to_json()
        encoding = codec.get("metadata", {})
        if codec["driver"] == "zarr3":
            key = encoding.get("chunk_key_encoding", {"name": "default"})
            separator = key.get("configuration", {}).get("separator", "/" if key["name"] == "default" else ".")
            prefix = "c" + separator if key["name"] == "default" else ""
        else:
            separator, prefix = encoding.get("dimension_separator", "."), ""
        for index in _indices(box, self._array.chunk_layout.write_chunk.shape):
            yield prefix + separator.join(map(str, index))


class _ZarrReader:
    def __init__(self, location: Location, version: int) -> None:
        import zarr

        store: Any = location.address
        if location.archive is not None:
            from chunkwise.storage.zip_store import ZippedStore

            store = ZippedStore(location)
        self._location = location
        try:
            self._array: Any = zarr.open_array(store, mode="r", zarr_format=version)  # type: ignore[arg-type]
        except ChunkwiseError:
            raise
        except Exception as error:  # zarr and numcodecs raise many kinds
            raise InputError(_explain(location, error)) from None
        self.shape = tuple(self._array.shape)
        self.dtype = np.dtype(self._array.dtype).newbyteorder("=")
        self.chunks = tuple(self._array.chunks)
        if location.archive is not None:
            # Far more than any codec makes of a chunk or a shard.
            store.largest = 4 * prod(self._array.shards or self._array.chunks) * self.dtype.itemsize + 64 * 2**20

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        if _links_matter(self._location):
            files = self._array.shards or self._array.chunks
            _refuse_links(self._location, map(self._array.metadata.encode_chunk_key, _indices(box, files)))
        try:
            data = self._array[box]
        except ChunkwiseError:
            raise
        except Exception as error:
            at = ",".join(f"{part.start}:{part.stop}" for part in box)
            raise InputError(f"{_explain(self._location, error)} (in the box {at})") from None
        return np.asarray(data).astype(self.dtype, copy=False)


def _explain(location: Location, error: Exception) -> str:
    """Keep the library's own words, which name the chunk, without its internal state."""
    return f"The array {location.address} cannot be read: {words_of(error)}."


def _indices(box: Box, size: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Count the chunks of a size that a box lies in."""
    return product(*(range(part.start // n, -(-part.stop // n)) for part, n in zip(box, size, strict=True)))


def _links_matter(location: Location) -> bool:
    """Whether a site limits what may be read; a person's own shell has that person's rights."""
    return location.boundary is not None and not location.is_url and location.archive is None


def _refuse_links(location: Location, keys: Iterable[str]) -> None:
    """Refuse chunks that are, or lie behind, symbolic links to what the policy does not allow."""
    for key in keys:
        path = os.path.join(location.address, key)
        real = os.path.join(_real_folder(os.path.dirname(path)), os.path.basename(path))
        if not location.allows(os.path.realpath(real) if os.path.islink(real) else real):
            raise PolicyError(f"The chunk {path} is a symbolic link out of the store, which this site does not allow.")


@lru_cache(maxsize=65536)
def _real_folder(path: str) -> str:
    return os.path.realpath(path)
