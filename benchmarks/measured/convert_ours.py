"""The inputs of ``convert.py``, the floor that it is held to, and a look at what was written."""

# mypy: disable-error-code="attr-defined,import-not-found,no-untyped-call"

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np
import zarr
from numcodecs import Blosc, zstd
from zarr.codecs import ZstdCodec

#: Planes that are in memory at once; the chunks of the volume that inputs are made of are so thick.
SLAB = 64

#: As chunkwise lays out a volume of this size.
CHUNK, SHARD = (64, 64, 64), (256, 256, 256)


def _slabs(image: str) -> Iterator[np.ndarray[Any, Any]]:
    array: Any = zarr.open_array(f"{image}/0", mode="r")
    for start in range(0, array.shape[0], SLAB):
        yield array[start : start + SLAB]


def _write(image: str, target: str, pieces: Iterator[np.ndarray[Any, Any]], **how: Any) -> None:
    import tifffile

    array: Any = zarr.open_array(f"{image}/0", mode="r")
    known: dict[str, Any] = {"axes": "ZYX"}
    for axis, size in zip("ZYX", (0.5, 0.25, 0.25), strict=True):
        known |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "µm"}
    same = {"shape": array.shape, "dtype": array.dtype, "bigtiff": True, "ome": True, "photometric": "minisblack"}
    tifffile.imwrite(target, pieces, metadata=known, **same, **how)


def tiled(image: str, target: str) -> None:
    """Write a volume as an OME-TIFF in tiles of 256 x 256, compressed with zlib."""

    def pieces() -> Iterator[np.ndarray[Any, Any]]:
        for slab in _slabs(image):
            for plane in slab:
                for y, x in product(range(0, plane.shape[0], 256), range(0, plane.shape[1], 256)):
                    yield np.ascontiguousarray(plane[y : y + 256, x : x + 256])

    _write(image, target, pieces(), tile=(256, 256), compression="zlib")


def striped(image: str, target: str) -> None:
    """Write a volume as an OME-TIFF in strips of 64 rows that are not compressed."""
    _write(image, target, (plane for slab in _slabs(image) for plane in slab), rowsperstrip=64)


def old_zarr(image: str, target: str) -> None:
    """Write a volume as an OME-Zarr 0.4 with its levels, compressed with blosc, as most stores are."""
    group = zarr.open_group(target, mode="w", zarr_format=2)
    source: Any = zarr.open_array(f"{image}/0", mode="r")
    shape = tuple(source.shape)
    datasets: list[dict[str, Any]] = []
    while True:
        made: Any = group.create_array(
            str(len(datasets)),
            shape=shape,
            dtype=source.dtype,
            chunks=(64, 256, 256),
            compressors=Blosc(cname="lz4", clevel=5, shuffle=1),
            chunk_key_encoding={"name": "v2", "separator": "/"},
        )
        for start in range(0, shape[0], SLAB):
            part = slice(start, min(start + SLAB, shape[0]))
            made[part] = source[part] if not datasets else _half(source[2 * part.start : 2 * part.stop])
        scale = [size * 2 ** len(datasets) for size in (0.5, 0.25, 0.25)]
        transformation = {"type": "scale", "scale": scale}
        datasets.append({"path": made.basename, "coordinateTransformations": [transformation]})
        if max(shape) <= 256:
            break
        source, shape = made, tuple(n // 2 for n in shape)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    group.attrs["multiscales"] = [{"version": "0.4", "name": "nuclei", "axes": axes, "datasets": datasets}]


def _half(voxels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Means of 2 x 2 x 2, halves upwards, as anybody writes it with NumPy; all edges are even."""
    sums = np.zeros([n // 2 for n in voxels.shape], np.uint32)
    for first in product((0, 1), repeat=3):
        sums += voxels[tuple(slice(one, None, 2) for one in first)]
    sums += 4
    sums >>= 3
    return sums.astype(voxels.dtype)


def floor(source: str, target: str, bare: str = "") -> dict[str, Any]:
    """Decode an image once, halve it in memory, and encode and write all levels; ``bare`` writes nothing."""
    zarr.config.set({"async.concurrency": 1, "threading.max_workers": 1})
    spent = {"decode": 0.0, "encode": 0.0, "pyramid": 0.0}

    def taken(what: str, since: float) -> None:
        spent[what] += time.process_time() - since

    def write(level: int, shape: tuple[int, ...], start: int, voxels: np.ndarray[Any, Any]) -> None:
        begin = time.process_time()
        if bare:
            for first in product(*(range(0, size, step) for size, step in zip(voxels.shape, CHUNK, strict=True))):
                box = tuple(slice(one, one + step) for one, step in zip(first, CHUNK, strict=True))
                zstd.compress(np.ascontiguousarray(voxels[box]), 3)
            taken("encode", begin)
            return
        path = f"{target}/{level}"
        if start == 0:
            zarr.create_array(
                path, shape=shape, dtype=voxels.dtype, chunks=CHUNK, shards=SHARD, compressors=ZstdCodec(level=3)
            )
        array: Any = zarr.open_array(path, mode="r+")
        for y, x in product(range(0, shape[1], SHARD[1]), range(0, shape[2], SHARD[2])):
            part = (slice(y, y + SHARD[1]), slice(x, x + SHARD[2]))
            array[(slice(start, start + len(voxels)), *part)] = voxels[(slice(None), *part)]
        taken("encode", begin)

    shape, read = _reader(source)
    halves = []
    for start in range(0, shape[0], SHARD[0]):
        begin = time.process_time()
        slab = read(start, min(start + SHARD[0], shape[0]))
        taken("decode", begin)
        write(0, shape, start, slab)
        begin = time.process_time()
        halves.append(_half(slab))
        taken("pyramid", begin)
    level, voxels = 1, np.concatenate(halves)
    while True:
        for start in range(0, len(voxels), SHARD[0]):
            write(level, voxels.shape, start, voxels[start : start + SHARD[0]])
        if max(voxels.shape) <= 256:
            break
        begin = time.process_time()
        level, voxels = level + 1, _half(voxels)
        taken("pyramid", begin)
    return {name: round(seconds, 3) for name, seconds in spent.items()} | {"floor": round(sum(spent.values()), 3)}


def _reader(source: str) -> tuple[tuple[int, ...], Any]:
    """Shape of an image, and what reads some of its planes."""
    if os.path.isdir(source):
        array: Any = zarr.open_array(f"{source}/0", mode="r")
        return tuple(array.shape), lambda start, stop: array[start:stop]
    import tifffile

    series: Any = tifffile.TiffFile(source).series[0]

    def planes(start: int, stop: int) -> np.ndarray[Any, Any]:
        slab = np.empty((stop - start, *series.shape[1:]), series.dtype)
        for number, plane in enumerate(slab, start):
            series.pages[number].asarray(out=plane, maxworkers=1)
        return slab

    return tuple(series.shape), planes


def look(store: str) -> dict[str, Any]:
    """Say which levels there are, and what the voxels of the largest add up to."""
    found = {}
    for folder, _, files in os.walk(store):
        if "zarr.json" in files:
            with open(os.path.join(folder, "zarr.json"), encoding="utf-8") as file:
                document = json.load(file)
            if document["node_type"] == "array":
                found[tuple(n for n in document["shape"] if n > 1)] = folder
    shapes = sorted(found, reverse=True)
    array: Any = zarr.open_array(found[shapes[0]], mode="r")
    thick = array.shape.index(shapes[0][0])
    total = 0
    for start in range(0, array.shape[thick], 256):
        total += int(array[(slice(None),) * thick + (slice(start, start + 256),)].sum(dtype=np.uint64))
    return {"levels": " ".join("x".join(map(str, shape)) for shape in shapes), "sum": total}


if __name__ == "__main__":
    name = {"zarr": "old_zarr"}.get(sys.argv[1], sys.argv[1])
    print(json.dumps(globals()[name](*sys.argv[2:])))
