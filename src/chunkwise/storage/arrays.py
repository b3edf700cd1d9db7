"""Reading Zarr arrays where they lie.

tensorstore reads everything it knows the codecs of; zarr-python reads the rest (Zarr v2 with lz4,
lzma or filters). Nothing is cached between reads: a block reads its chunks once.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.storage.array_reader import ArrayReader, Box
from chunkwise.storage.chunk_files import held_chunks, hold_chunk
from chunkwise.storage.foreign import foreign_store, key_below
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location
from chunkwise.storage.remote import SERVER_ERRORS, context, explain, kvstore_spec, words_of
from chunkwise.storage.zipped import forget, signature_of

__all__ = ["ArrayReader", "Box", "forget_opened", "open_array", "unreadable_objects"]

#: Files of chunks that are open together, for each of a few threads: many systems allow a process 1024.
AT_ONCE = 128


def open_array(location: Location) -> ArrayReader:
    """Open the array at a location; a process opens each array once, as long as its metadata are the same file.

    A remote array is opened once, until :func:`forget_opened`: its metadata are not asked for again with every block.

    Raises
    ------
    InputError
        If there is no array, or no codec for it.
    ResumableError
        If its server does not answer.
    """
    if location.foreign is not None:
        return foreign_store(location).arrays[key_below(location)]
    if location.archive is not None:
        return _open_array(location, signature_of(location))
    return _open_array(location, None if location.is_url else _signature(location.address))


def forget_opened() -> None:
    """Open arrays and zip files anew from now on: those on servers may have become others without a sign."""
    _open_array.cache_clear()
    forget()


def unreadable_objects(location: Location, box: Box) -> tuple[str, ...]:
    """Say which of the chunks, or shards, that a box lies in cannot be read, by their addresses.

    A shard counts only where it cannot be opened: of one that is damaged, others may have read other parts. So does a
    file of another format, which was opened.
    """
    if location.foreign is not None:
        return ()
    reader, found = open_array(location), []
    in_parts = reader.chunks != reader.files
    for index in _indices(box, reader.files):
        part = tuple(
            slice(max(i * n, b.start), min((i + 1) * n, b.stop))
            for i, n, b in zip(index, reader.files, box, strict=True)
        )
        key = reader.key(index)
        try:
            if in_parts:
                _open_object(location, key)
            else:
                reader.read(part)
        except ChunkwiseError:
            found.append(f"{location.address}/{key}")
    return tuple(found)


def _open_object(location: Location, key: str) -> None:
    """Open the file of a chunk or a shard, and read nothing; of what lies elsewhere nothing is said."""
    if not location.is_url and location.archive is None:
        held = hold_chunk(location, key)
        if held is not None:
            held.close()


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
    version, name = 3, "zarr.json"
    content = read_key(location, name)
    if content is None:
        version, name = 2, ".zarray"
        content = read_key(location, name)
    if content is None:
        raise InputError(f"There is no Zarr array at {location.address}.")
    if location.archive is not None:
        # tensorstore's driver for zip files looks at no checksum, and takes what it cannot unpack for absent.
        return _ZarrReader(location, version)
    import tensorstore as ts

    spec: dict[str, Any] = {"driver": "zarr3" if version == 3 else "zarr"}
    try:
        if location.is_url:
            array = ts.open(spec | {"kvstore": kvstore_spec(location)}, open=True, read=True, context=context())
        else:
            # Made from the very document that was read here, and looked at: by its name another could be read.
            memory = ts.KvStore.open({"driver": "memory"}).result()
            memory.write(name, content).result()
            array = ts.open(spec, kvstore=memory, open=True, read=True, context=context())
        return _TensorstoreReader(location, array.result())
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
        self.files = tuple(array.chunk_layout.write_chunk.shape)
        self._largest = _largest_file(self.files, self.dtype)
        spec = array.spec().to_json()
        self._spec = {"driver": spec["driver"], "metadata": spec["metadata"]}
        self._prefix, self._separator = _key_parts(spec)

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        if self._location.is_url:
            try:
                return np.asarray(self._array[box].read().result())
            except SERVER_ERRORS as error:
                raise explain(self._location, error) from None
        pieces = list(_pieces(box, self.files))
        if len(pieces) == 1:
            return self._read_held(box)
        data = np.empty(tuple(part.stop - part.start for part in box), self.dtype)
        for piece in pieces:
            inner = tuple(slice(p.start - b.start, p.stop - b.start) for p, b in zip(piece, box, strict=True))
            data[inner] = self._read_held(piece)
        return data

    def key(self, index: tuple[int, ...]) -> str:
        return self._prefix + self._separator.join(map(str, index))

    def _read_held(self, box: Box) -> np.ndarray[Any, Any]:
        """Read chunks through handles of their files, so that what is read is what was looked at."""
        keys = map(self.key, _indices(box, self.files))
        with held_chunks(self._location, keys, self._largest) as found:
            # Below the files lies an empty store: without it, tensorstore takes for an absent chunk the file before it.
            layers: list[dict[str, Any]] = [{"base": {"driver": "memory"}}]
            layers += [{"exact": key, "base": {"driver": "file", "path": held.path}} for key, held in found.items()]
            spec = self._spec | {"kvstore": {"driver": "kvstack", "layers": layers}}
            import tensorstore as ts

            try:
                array = ts.open(spec, open=True, read=True, assume_metadata=True, context=context()).result()
                return np.asarray(array[box].read().result())
            except SERVER_ERRORS as error:
                problem = _explain(self._location, error)
                for key, held in found.items():
                    problem = problem.replace(f'"{held.path}"', f'"{self._location.address}/{key}"')
                raise InputError(problem) from None


def _key_parts(spec: dict[str, Any]) -> tuple[str, str]:
    """Prefix and separator of the keys of chunks, from what tensorstore says of an array."""
    encoding = spec["metadata"]
    if spec["driver"] == "zarr3":
        key = encoding.get("chunk_key_encoding", {"name": "default"})
        separator = key.get("configuration", {}).get("separator", "/" if key["name"] == "default" else ".")
        prefix = "c" + separator if key["name"] == "default" else ""
    else:
        separator, prefix = encoding.get("dimension_separator", "."), ""
    return prefix, separator


class _ZarrReader:
    def __init__(self, location: Location, version: int) -> None:
        import zarr

        from chunkwise.storage.zarr_store import HeldStore
        from chunkwise.storage.zip_store import ZippedStore

        self._location = location
        store = HeldStore(location) if location.archive is None else ZippedStore(location)
        try:
            self._array: Any = zarr.open_array(store, mode="r", zarr_format=version)  # type: ignore[arg-type]
        except ChunkwiseError:
            raise
        except Exception as error:  # zarr and numcodecs raise many kinds
            raise InputError(_explain(location, error)) from None
        self.shape = tuple(self._array.shape)
        self.dtype = np.dtype(self._array.dtype).newbyteorder("=")
        self.chunks = tuple(self._array.chunks)
        self.files = tuple(self._array.shards or self._array.chunks)
        store.largest = _largest_file(self.files, self.dtype)

    def key(self, index: tuple[int, ...]) -> str:
        return str(self._array.metadata.encode_chunk_key(index))

    def read(self, box: Box) -> np.ndarray[Any, Any]:
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


def _pieces(box: Box, size: tuple[int, ...]) -> Iterator[Box]:
    """Part a box where chunks of a size meet, until no part lies in more of them than files may be open."""
    counts = [-(-part.stop // n) - part.start // n for part, n in zip(box, size, strict=True)]
    if math.prod(counts) <= AT_ONCE:
        yield box
        return
    axis = counts.index(max(counts))
    middle = (box[axis].start // size[axis] + counts[axis] // 2) * size[axis]
    for part in (slice(box[axis].start, middle), slice(middle, box[axis].stop)):
        yield from _pieces((*box[:axis], part, *box[axis + 1 :]), size)


def _largest_file(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Bytes that a chunk's file may have: far more than any codec makes of it, and no more than a worker can hold."""
    return 4 * math.prod(shape) * dtype.itemsize + 64 * 2**20
