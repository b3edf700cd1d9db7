"""Smoothing by every kind of SIMD that this processor has, beside SciPy, in one process and one thread.

    .venv/bin/python benchmarks/smoothing.py

Prints a row a program: millions of voxels a CPU-second, the median and the best of some runs, and the ratio to SciPy.
The results are compared first: all have the same bytes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy
from scipy.ndimage import gaussian_filter

from chunkwise import _kernels
from chunkwise.ops.gaussian import gaussian

SHAPE = (64, 512, 512)


def processor() -> str:
    """What the kernel calls the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    known = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {name.strip(): value.strip() for name, value in known.items()}
    numbers = f"family {fields.get('cpu family', '?')} model {fields.get('model', '?')}"
    return f"{fields.get('model name', 'unknown')}, {numbers}"


def speeds(call: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """Millions of voxels a CPU-second: median and best."""
    found = []
    for _ in range(repeat):
        begin = time.process_time()
        call()
        found.append(np.prod(SHAPE) / (time.process_time() - begin) / 1e6)
    return statistics.median(found), max(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sigma", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=5)
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"{processor()}; {'x'.join(map(str, SHAPE))} voxels, sigma {args.sigma:g}, {args.repeat} runs each\n")
    print("| voxels | program | Mvoxel/s, median (best) | beside SciPy |\n|---|---|---|---|")
    for dtype in ("uint8", "uint16", "float32"):
        volume = (rng.random(SHAPE) * 250).astype(dtype)
        expected = gaussian_filter(volume, args.sigma)
        base, best = speeds(lambda volume=volume: gaussian_filter(volume, args.sigma), args.repeat)  # type: ignore[misc]
        print(f"| {dtype} | scipy {scipy.__version__} `gaussian_filter` | {base:.0f} ({best:.0f}) | 1 |")
        for level in _kernels.simd_levels():
            _kernels.set_simd_level(level)
            assert np.array_equal(gaussian(volume, args.sigma), expected), level
            median, best = speeds(lambda volume=volume: gaussian(volume, args.sigma), args.repeat)  # type: ignore[misc]
            print(f"| {dtype} | chunkwise, {level} | {median:.0f} ({best:.0f}) | {median / base:.1f} |")


if __name__ == "__main__":
    main()
