"""What the cluster path costs over the local one, and the speed-up from 1 to 4 worker processes.

    .venv/bin/python benchmarks/cluster.py [--size 0.25] [--repeat 2]

The same segmentation of the same synthetic volume by one process, by local workers, and by 1, 2 and 4 batch jobs of
the real Slurm of deploy/slurm, which has to be up. All nodes are this one machine, so that no speed-up can be larger
than its cores; beyond them, only CPU-seconds say what more workers cost.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import volume, volume_shape, warm

ROOT = Path(__file__).parents[1]
RUNS = [("local", 1), ("local", 2), ("slurm", 1), ("slurm", 2), ("slurm", 4)]
SITE = """[roots.all]
path = "/"
access = "write"
[clusters.local]
kind = "local"
[clusters.slurm]
kind = "slurm"
memory_per_worker = "1GiB"
"""


def once(image: str, kind: str, workers: int, folder: Path) -> dict[str, Any]:
    """One run: seconds by the clock, CPU-seconds of driver and workers, seconds of the passes alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    site = folder / "site.toml"
    site.write_text(SITE)
    environment = os.environ | {"CHUNKWISE_SITE": str(site), "CHUNKWISE_CLUSTER": kind}
    environment.setdefault("SLURM_CONF", str(ROOT / ".cluster" / "slurm" / "slurm.conf"))
    words = ["segment", image, "--no-pyramid", "--output", str(folder / "o.ome.zarr"), "--record", str(folder / "r")]
    begin, before = time.monotonic(), os.times()
    subprocess.run(
        [sys.executable, "-m", "chunkwise.cli", *words, "--workers", str(workers), "--memory", "1GiB"],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wall, after = time.monotonic() - begin, os.times()
    record = json.loads((folder / "r").read_text())
    children = after.children_user + after.children_system - before.children_user - before.children_system
    journal = [json.loads(line.rpartition(b"\t")[0]) for line in _lines(folder / "o.ome.zarr.run" / "journal")]
    first, last = min(entry["start"] for entry in journal), max(entry["end"] for entry in journal)
    of_workers = sum(worker["cpu_seconds"] for worker in record["workers"])
    return {
        "wall": wall,
        "passes": last - first,
        "cpu": children if kind == "local" else children + of_workers,
    }


def _lines(folder: Path) -> list[bytes]:
    return [line for segment in folder.glob("*.jsonl") for line in segment.read_bytes().splitlines() if line]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=float, default=0.25, metavar="GiB")
    parser.add_argument("--repeat", type=int, default=2)
    args = parser.parse_args()
    shape = volume_shape(args.size)
    image = volume(shape)
    warm(image)
    print(f"{'x'.join(map(str, shape))} voxels, {os.cpu_count()} cores, best of {args.repeat}")
    print("| where | workers | wall s | in passes | CPU-s | speed-up of the passes | load before |")
    print("|---|---|---|---|---|---|---|")
    alone: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="cw-bench-") as top:
        for kind, workers in RUNS:
            load = os.getloadavg()[0]
            runs = [once(image, kind, workers, Path(top, "run")) for _ in range(args.repeat)]
            best = min(runs, key=lambda run: run["wall"])
            alone.setdefault(kind, best["passes"])
            print(
                f"| {kind} | {workers} | {best['wall']:.1f} | {best['passes']:.1f} | {best['cpu']:.1f} "
                f"| {alone[kind] / best['passes']:.2f} | {load:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
