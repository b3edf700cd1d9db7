"""The median filter by every kind of SIMD that this processor has, beside SciPy, in one process and one thread.

    .venv/bin/python benchmarks/median.py

Prints a row a program: millions of voxels a CPU-second, and the ratio to SciPy. Noise is the slowest of images; cells
are a smooth one, as a microscope gives it. SciPy filters a part of the volume, because its speed does not depend on the
volume's size. The results are compared first: all have the same bytes.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy
from harness import machine
from scipy.ndimage import gaussian_filter, median_filter

from chunkwise import _kernels
from chunkwise.ops.median import median

Array = np.ndarray[Any, Any]


def speed(call: Callable[[], Any], voxels: int, repeat: int) -> float:
    """Millions of voxels a CPU-second: the best of some runs."""
    found = []
    for _ in range(repeat):
        begin = time.process_time()
        call()
        found.append(voxels / (time.process_time() - begin) / 1e6)
    return max(found)


def images(edge: int) -> dict[str, Array]:
    """Noise over the whole range of the type, and bright cells of 12 bits with the noise of a camera."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 2**16, (edge, edge, edge)).astype(np.uint16)
    cells = gaussian_filter(rng.random((edge, edge, edge), np.float32), 4)
    cells = np.clip((cells - cells.mean()) / cells.std() * 500 + 100, 100, 4000)
    return {"noise": noise, "cells": rng.poisson(cells).astype(np.uint16)}


def as_type(volume: Array, dtype: str) -> Array:
    if dtype == "uint8":
        return (volume >> (8 if volume.max() > 4095 else 4)).clip(0, 255).astype(np.uint8)
    return (volume / 65535).astype(dtype) if dtype.startswith("f") else volume


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", type=int, default=256, help="of the volume")
    parser.add_argument("--repeat", type=int, default=2)
    args = parser.parse_args()
    print(f"{machine()['processor']}; {args.edge}^3 voxels, the best of {args.repeat} runs\n")
    print("| voxels | size | program | Mvoxel/s | beside SciPy |\n|---|---|---|---|---|")
    for name, drawn in images(args.edge).items():
        for dtype in ("uint8", "uint16", "float32"):
            volume = as_type(drawn, dtype)
            for size in (3, 5, 7):
                # A slab of as many voxels as SciPy filters in a second or so.
                part = volume[: max(4, args.edge // 6 // size**2), :, : args.edge // 2]
                expected = median_filter(part, size)
                base = speed(lambda part=part, size=size: median_filter(part, size), part.size, 1)  # type: ignore[misc]
                kind = f"{name}, {dtype} | {size}x{size}x{size}"
                print(f"| {kind} | scipy {scipy.__version__} `median_filter` | {base:.2f} | 1 |", flush=True)
                for level in _kernels.simd_levels():
                    _kernels.set_simd_level(level)
                    assert np.array_equal(median(part, size), expected), level
                    best = speed(lambda v=volume, s=size: median(v, s), volume.size, args.repeat)  # type: ignore[misc]
                    print(f"| {kind} | chunkwise, {level} | {best:.1f} | {best / base:.0f} |", flush=True)


if __name__ == "__main__":
    main()
