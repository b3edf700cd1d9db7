"""The one writer: encodes a shard in memory, hashes the bytes, writes a temporary name, renames it.

On S3 an object is put whole, and is not there before its last byte has arrived.

Nothing else in chunkwise writes voxels. The bytes of a shard depend on its voxels and on the
layout alone: zstd at a pinned level (never blosc, whose threads make encodings differ), and
metadata documents without time, host, path or version.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np

from chunkwise.errors import ResumableError
from chunkwise.storage.arrays import Box
from chunkwise.storage.kv import put_key
from chunkwise.storage.location import Location

__all__ = [
    "ZSTD_LEVEL",
    "ArrayLayout",
    "StoredObject",
    "clear_errors",
    "compress",
    "decompress",
    "encode_shard",
    "json_bytes",
    "put_object",
    "remove_temporaries",
    "write_box",
]

#: Changing it changes the bytes of every store that chunkwise writes.
ZSTD_LEVEL = 3


@dataclass(frozen=True)
class StoredObject:
    """One object that was written: its key in the store, the sha256 of its bytes, their number."""

    key: str
    sha256: str
    size: int
    tag: str | None = None
    """What the S3 server calls this very object; None on a file system."""

    def row(self) -> list[Any]:
        """Its values as JSON, from which ``StoredObject(*row)`` makes it again."""
        values = [self.key, self.sha256, self.size]
        return values if self.tag is None else [*values, self.tag]


@dataclass(frozen=True)
class ArrayLayout:
    """How one array of an output store is laid out; decides its ``zarr.json`` and its shards' bytes."""

    shape: tuple[int, ...]
    dtype: str
    chunks: tuple[int, ...]
    shards: tuple[int, ...]
    axes: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """The array's ``zarr.json``."""
        size = np.dtype(self.dtype).itemsize
        endian = {"name": "bytes", "configuration": {"endian": "little"}} if size > 1 else {"name": "bytes"}
        zstd = {"name": "zstd", "configuration": {"level": ZSTD_LEVEL, "checksum": False}}
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": list(self.shape),
            "data_type": self.dtype,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(self.shards)}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
            "fill_value": np.zeros((), self.dtype).item(),
            "codecs": [
                {
                    "name": "sharding_indexed",
                    "configuration": {
                        "chunk_shape": list(self.chunks),
                        "codecs": [endian, zstd],
                        "index_codecs": [{"name": "bytes", "configuration": {"endian": "little"}}, {"name": "crc32c"}],
                        "index_location": "end",
                    },
                }
            ],
            "attributes": {},
            "dimension_names": list(self.axes),
        }


def json_bytes(document: object) -> bytes:
    """Encode a metadata document; the same document always gives the same bytes."""
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def compress(content: bytes) -> bytes:
    """Compress what passes hand on to each other, fast rather than small."""
    from numcodecs.zstd import compress as zstd

    return bytes(zstd(content, 1))


def decompress(content: bytes) -> bytes:
    """Undo :func:`compress`."""
    from numcodecs.zstd import decompress as zstd

    return bytes(zstd(content))


def put_object(place: str | Location, key: str, content: bytes) -> StoredObject:
    """Write one object so that it is there whole or not at all.

    Parameters
    ----------
    place : str or Location
        A folder, or where a store is.
    key : str
        Of the object, below that place.
    content : bytes
        All of it.

    Raises
    ------
    ResumableError
        If the file system refuses, such as when the disk is full; or the server.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    if isinstance(place, Location) and place.is_url:
        return StoredObject(key, sha256, len(content), put_key(place, key, content))
    path = os.path.join(place.address if isinstance(place, Location) else place, key)
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{secrets.token_hex(6)}.tmp")
    with clear_errors(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        try:
            with open(temporary, "xb") as file:
                file.write(content)
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    return StoredObject(key, sha256, len(content))


def remove_temporaries(folder: str) -> int:
    """Remove what writers that were killed in the middle of :func:`put_object` left behind; count the other files."""
    left = 0
    for top, _, names in os.walk(folder):
        for name in names:
            if name.startswith(".") and name.endswith(".tmp"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(top, name))
            else:
                left += 1
    return left


def write_box(
    place: str | Location, array: str, layout: ArrayLayout, box: Box, data: np.ndarray[Any, Any]
) -> list[StoredObject]:
    """Write the shards that a box consists of.

    Parameters
    ----------
    place : str or Location
        Of the store.
    array : str
        Path of the array inside the store.
    layout : ArrayLayout
        Of the array.
    box : tuple of slice
        Begins at shard borders and ends at shard borders or at the array's edge: its one owner
        writes whole shards, because two writers of one shard lose each other's voxels silently.
    data : ndarray
        The box's voxels.

    Returns
    -------
    list of StoredObject
        One a shard that is not empty; a shard of fill values only is absent, as Zarr says.
    """
    ranges = []
    for part, shard, size in zip(box, layout.shards, layout.shape, strict=True):
        if part.start % shard or (part.stop % shard and part.stop != size):
            raise AssertionError(f"box {box} does not consist of whole shards {layout.shards}")
        ranges.append(range(part.start // shard, -(-part.stop // shard)))
    written = []
    for index in product(*ranges):
        cut = tuple(
            slice(i * shard - part.start, min((i + 1) * shard, part.stop) - part.start)
            for i, shard, part in zip(index, layout.shards, box, strict=True)
        )
        content = encode_shard(layout, data[cut])
        key = f"{array}/c/{'/'.join(map(str, index))}"
        if content is not None:
            written.append(put_object(place, key, content))
    return written


def encode_shard(layout: ArrayLayout, data: np.ndarray[Any, Any]) -> bytes | None:
    """Encode one shard; None where it holds nothing but the fill value.

    At the array's edge ``data`` is smaller than a shard; the rest of the shard is fill value.
    """
    if not data.any():
        return None
    array = _memory_array(layout.dtype, layout.chunks, layout.shards, threading.get_ident())
    array[tuple(slice(0, size) for size in data.shape)].write(data).result()
    key = "c/" + "/".join("0" for _ in layout.shards)
    content = bytes(array.kvstore.read(key).result().value)
    array.kvstore.write(key, None).result()
    return content


@lru_cache(maxsize=16)
def _memory_array(dtype: str, chunks: tuple[int, ...], shards: tuple[int, ...], _: int) -> Any:
    """An array of exactly one shard in a key-value store in memory, from which the bytes are taken; each thread's own.

    Two threads with one array would take each other's shard.
    """
    import tensorstore as ts

    layout = ArrayLayout(shards, dtype, chunks, shards, tuple(f"axis{i}" for i in range(len(shards))))
    document = layout.document()
    spec = {
        "driver": "zarr3",
        "kvstore": {"driver": "memory"},
        "metadata": {
            key: document[key]
            for key in ("shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs")
        },
    }
    context = ts.Context({"cache_pool": {"total_bytes_limit": 0}, "data_copy_concurrency": {"limit": 1}})
    return ts.open(spec, create=True, context=context).result()


@contextlib.contextmanager
def clear_errors(path: str) -> Iterator[None]:
    """Turn what a file system refuses into one sentence; the run can go on when there is room again.

    Raises
    ------
    ResumableError
        For every ``OSError`` inside.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise ResumableError(
                f"There is no space left to write {path}; make room and run the same command again to resume."
            ) from None
        raise ResumableError(f"{path} cannot be written: {os.strerror(error.errno or 0)}.") from None
