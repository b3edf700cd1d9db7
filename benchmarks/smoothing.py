"""Smoothing by every kind of SIMD that this processor has, beside SciPy, in one process and one thread.

    .venv/bin/python benchmarks/smoothing.py

The one benchmark that looks at a kernel instead of a program, so start-up and memory are not in its figures. The
results are compared first: all have the same bytes. CPU and wall time are those of the run that took least CPU time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import harness
import numpy as np
import scipy
from scipy.ndimage import gaussian_filter

from chunkwise import _kernels
from chunkwise.ops.gaussian import gaussian

SHAPE = (64, 512, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sigma", type=float, default=1.0)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", default=str(harness.BENCH / "results.jsonl"), help="lines are added here")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    usual = _kernels.simd_level()
    rows = []
    for dtype in ("uint8", "uint16", "float32"):
        volume = (rng.random(SHAPE) * 250).astype(dtype)
        expected = gaussian_filter(volume, args.sigma)
        taken = {}
        for level in _kernels.simd_levels():
            _kernels.set_simd_level(level)
            assert np.array_equal(gaussian(volume, args.sigma), expected), level
            taken[f"chunkwise, {level}"] = least(lambda volume=volume: gaussian(volume, args.sigma), args.repeat)  # type: ignore[misc]
        taken[f"scipy {scipy.__version__}"] = least(
            lambda volume=volume: gaussian_filter(volume, args.sigma),  # type: ignore[misc]
            args.repeat,
        )
        ours = f"chunkwise, {usual}"
        for name, (cpu, wall) in taken.items():
            rows.append(
                {
                    "benchmark": "smoothing",
                    "settings": f"{dtype}, {'x'.join(map(str, SHAPE))}, sigma {args.sigma:g}",
                    "name": name,
                    "ours": name == ours,
                    "voxels": int(np.prod(SHAPE)),
                    "ratio": None if name == ours else round(cpu / taken[ours][0], 2),
                    "cpu": cpu,
                    "wall": wall,
                    "failed": "",
                    "said": {},
                    "note": "what this processor is given" if name == ours else "",
                }
            )
            print(f"{dtype:8} {name:24} {np.prod(SHAPE) / cpu / 1e6:6.0f} Mvoxel/s of CPU time")
    harness.append(args.json, rows)


def least(call: Callable[[], Any], repeat: int) -> tuple[float, float]:
    """CPU-seconds and wall time of the run that took least of the former."""
    found = []
    for _ in range(repeat):
        cpu, wall = time.process_time(), time.perf_counter()
        call()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    return min(found)


if __name__ == "__main__":
    main()
