"""Write a synthetic volume of nuclei as OME-Zarr 0.4 or 0.5, as large as asked for.

    .venv/bin/python benchmarks/synthetic.py OUT.ome.zarr --shape 1024,1024,1024

Every voxel is a function of its coordinates and the seed, so that a volume of any size is written chunk by
chunk, and two people who make it get the same bytes. Nuclei are ellipsoids on a jittered grid, some of
them touching, with a dim rim and noise; uint16, chunks 64 x 256 x 256, zstd.
"""

from __future__ import annotations

import argparse
import json
import os
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from multiprocessing import get_context
from typing import Any

import numba
import numpy as np
import zarr
from zarr.codecs import ZstdCodec

CHUNK = (64, 256, 256)
CELL = 28


@numba.njit(cache=True)
def _hash(a, b, c, d):  # type: ignore[no-untyped-def]
    h = np.uint64(a) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(b) * np.uint64(0xC2B2AE3D27D4EB4F)
    h ^= np.uint64(c) * np.uint64(0x165667B19E3779F9) ^ np.uint64(d) * np.uint64(0xD6E8FEB86659FD93)
    h ^= h >> np.uint64(32)
    h *= np.uint64(0xD6E8FEB86659FD93)
    h ^= h >> np.uint64(29)
    return np.float64(h >> np.uint64(11)) / 9007199254740992.0


@numba.njit(cache=True)
def fill(out, z0, y0, x0, seed):  # type: ignore[no-untyped-def]
    """Fill a chunk that begins at (z0, y0, x0)."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for k in range(out.shape[2]):
                z, y, x = z0 + i, y0 + j, x0 + k
                value = 0.0
                # The nucleus of a cell stays within it and half of the next.
                for cz in range((z - CELL // 2) // CELL, (z + CELL // 2) // CELL + 1):
                    for cy in range((y - CELL // 2) // CELL, (y + CELL // 2) // CELL + 1):
                        for cx in range((x - CELL // 2) // CELL, (x + CELL // 2) // CELL + 1):
                            s = seed * 16
                            dz = z - (cz + 0.25 + 0.5 * _hash(cz, cy, cx, s)) * CELL
                            dy = y - (cy + 0.25 + 0.5 * _hash(cz, cy, cx, s + 1)) * CELL
                            dx = x - (cx + 0.25 + 0.5 * _hash(cz, cy, cx, s + 2)) * CELL
                            r = CELL * (0.22 + 0.2 * _hash(cz, cy, cx, s + 3))
                            q = (dz * dz * 1.3 + dy * dy + dx * dx) / (r * r)
                            if q < 1.4:
                                bright = 3000.0 + 9000.0 * _hash(cz, cy, cx, s + 4)
                                value = max(value, bright * min(1.0, (1.4 - q) * 2.0))
                noise = 900.0 + 700.0 * _hash(z, y, x, seed * 16 + 5)
                out[i, j, k] = np.uint16(value + noise)


def _write_chunk(path: str, index: tuple[int, ...], seed: int) -> None:
    array: Any = zarr.open_array(f"{path}/0", mode="r+")
    start = [i * c for i, c in zip(index, CHUNK, strict=True)]
    box = tuple(slice(s, min(s + c, n)) for s, c, n in zip(start, CHUNK, array.shape, strict=True))
    block = np.empty(tuple(part.stop - part.start for part in box), np.uint16)
    fill(block, start[0], start[1], start[2], seed)
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
