"""Write a synthetic volume of nuclei as OME-Zarr 0.4 or 0.5, as large as asked for.

    .venv/bin/python benchmarks/synthetic.py OUT.ome.zarr --shape 1024,1024,1024

Every voxel is a function of its coordinates and the seed, so that a volume of any size is written chunk by
chunk, and two people who make it get the same bytes. Nuclei are ellipsoids on a jittered grid, some of
them touching, with a dim rim and noise; uint16, chunks 64 x 256 x 256, zstd.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

CHUNK = (64, 256, 256)
CELL = 28


def _hash(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Numbers from 0 to 1, each a function of four integers, which may be arrays of int64."""
    a, b, c, d = (np.asarray(value, np.int64).astype(np.uint64) for value in (a, b, c, d))
    with np.errstate(over="ignore"):
        h = a * np.uint64(0x9E3779B97F4A7C15) ^ b * np.uint64(0xC2B2AE3D27D4EB4F)
        h = h ^ c * np.uint64(0x165667B19E3779F9) ^ d * np.uint64(0xD6E8FEB86659FD93)
        h ^= h >> np.uint64(32)
        h *= np.uint64(0xD6E8FEB86659FD93)
    h ^= h >> np.uint64(29)
    return (h >> np.uint64(11)).astype(np.float64) / 9007199254740992.0


def _hash_at(cell: tuple[int, ...], d: int) -> float:
    return float(_hash(cell[0], cell[1], cell[2], d))


def fill(out: Any, origin: tuple[int, ...], seed: int) -> None:
    """Fill a chunk that begins at ``origin``: the noise of every voxel, and the nuclei of all cells around."""
    z, y, x = np.ogrid[tuple(slice(start, start + n) for start, n in zip(origin, out.shape, strict=True))]
    value = np.zeros(out.shape)
    s = seed * 16
    # A nucleus stays within its cell and half of the next.
    cells = [
        range((i - CELL // 2) // CELL, (i + n + CELL // 2) // CELL + 1) for i, n in zip(origin, out.shape, strict=True)
    ]
    for cell in product(*cells):
        middle = [(c + 0.25 + 0.5 * _hash_at(cell, s + axis)) * CELL for axis, c in enumerate(cell)]
        r = CELL * (0.22 + 0.2 * _hash_at(cell, s + 3))
        box = []
        for m, start, n in zip(middle, origin, out.shape, strict=True):
            low, high = math.floor(m - 1.2 * r) - start, math.ceil(m + 1.2 * r) + 1 - start
            box.append(slice(max(low, 0), max(min(high, n), 0)))
        dz, dy, dx = z[box[0]] - middle[0], y[:, box[1]] - middle[1], x[:, :, box[2]] - middle[2]
        q = (dz * dz * 1.3 + dy * dy + dx * dx) / (r * r)
        bright = 3000.0 + 9000.0 * _hash_at(cell, s + 4)
        nucleus = np.where(q < 1.4, bright * np.minimum(1.0, (1.4 - q) * 2.0), 0.0)
        value[tuple(box)] = np.maximum(value[tuple(box)], nucleus)
    out[...] = value + (900.0 + 700.0 * _hash(z, y, x, s + 5))


def _write_chunk(path: str, index: tuple[int, ...], seed: int) -> None:
    array: Any = zarr.open_array(f"{path}/0", mode="r+")
    start = [i * c for i, c in zip(index, CHUNK, strict=True)]
    box = tuple(slice(s, min(s + c, n)) for s, c, n in zip(start, CHUNK, array.shape, strict=True))
    block = np.empty(tuple(part.stop - part.start for part in box), np.uint16)
    fill(block, tuple(start), seed)
    array[box] = block


def make(path: str, shape: tuple[int, ...], seed: int = 1, workers: int | None = None) -> None:
    """Write the volume."""
    group = zarr.open_group(path, mode="w-", zarr_format=3)
    axes = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    scale = [0.5, 0.25, 0.25]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [
            {
                "name": "synthetic nuclei",
                "axes": axes,
                "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": scale}]}],
            }
        ],
    }
    group.create_array(
        "0",
        shape=shape,
        dtype="uint16",
        chunks=CHUNK,
        compressors=ZstdCodec(level=3),
        dimension_names=list("zyx"),
    )
    indices = list(product(*[range(-(-n // c)) for n, c in zip(shape, CHUNK, strict=True)]))
    with ProcessPoolExecutor(workers or os.cpu_count(), mp_context=get_context("spawn")) as pool:
        list(pool.map(_write_chunk, [path] * len(indices), indices, [seed] * len(indices), chunksize=4))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output")
    parser.add_argument("--shape", default="1024,1024,1024", help="z,y,x; the default is 2 GiB")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    shape = tuple(int(part) for part in args.shape.split(","))
    make(args.output, shape, args.seed)
    print(json.dumps({"path": args.output, "shape": shape, "GiB": round(np.prod(shape) * 2 / 2**30, 3)}))


if __name__ == "__main__":
    main()
