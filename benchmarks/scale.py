"""What grows with the size, and what must not.

.venv/bin/python benchmarks/scale.py blocks     # a pass over 10^6 blocks with a kernel that does nothing
.venv/bin/python benchmarks/scale.py merge      # 10^8 provisional labels joined and numbered
.venv/bin/python benchmarks/scale.py linear     # CPU time a voxel and peak memory at 0.25, 1 and 4 GiB
.venv/bin/python benchmarks/scale.py start      # chunkwise --help, and a command on a tiny image
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

import harness
from harness import Candidate


def blocks(args: argparse.Namespace) -> None:
    """Time and memory of a plan of many blocks: driver and workers, an inline worker too."""
    candidates = [
        Candidate(
            f"{workers} worker{'s' * (workers > 1)}",
            harness.ours("ours.py", "blocks", str(args.blocks), str(workers)),
            note="" if workers > 1 else "which is the driver",
        )
        for workers in dict.fromkeys((args.workers, 1))
    ]
    harness.run("blocks", candidates, args, settings=f"{args.blocks:,} blocks, kernel empty")


def merge(args: argparse.Namespace) -> None:
    """Time and memory of the merge of many labels."""
    candidates = [Candidate("merge", harness.ours("ours.py", "merge", str(args.labels)))]
    harness.run("merge", candidates, args, settings=f"{args.labels:,} provisional labels")


def linear(args: argparse.Namespace) -> None:
    """Cost of a voxel and memory at several sizes; the share of each pass, the merge among them."""
    quick = ["--no-pyramid"] if harness.has_option("segment", "--no-pyramid") else []
    per_voxel: list[tuple[str, float]] = []
    for text in args.sizes.split(","):
        shape = harness.volume_shape(float(text))
        image = harness.volume(shape)
        harness.warm(image)
        out = harness.scratch("linear.ome.zarr")
        command = [harness.CHUNKWISE, "segment", image, "--output", out, "--workers", str(args.workers), *quick]
        candidate = Candidate(
            f"{text} GiB", [*command, "--record", f"{out}.json"], harness.fresh(out, f"{out}.json"), _look(out)
        )
        row = harness.run("linear", [candidate], args, prod(shape), os.path.basename(image))[0]
        if not row["failed"]:
            per_voxel.append((text, row["cpu"] / prod(shape) * 1e9))
            for name, share in row["said"]["passes"].items():
                print(f"    {name:<28} {share:8.2f} s of all workers")
            print(f"    merge: {100 * row['said']['merge_share']:.2f} % of the time of the passes")
    for (before, small), (after, large) in pairwise(per_voxel):
        print(f"  {before} -> {after} GiB: {small:.2f} -> {large:.2f} ns a voxel ({100 * (large / small - 1):+.1f} %)")


def _look(out: str) -> Callable[[], dict[str, Any]]:
    """Reads the run's journal and record: what each pass took, how large the workers grew."""

    def look() -> dict[str, Any]:
        from chunkwise.blocks.journal import read_entries

        with open(f"{out}.json", encoding="utf-8") as file:
            record = json.load(file)
        entries = list(read_entries(os.path.join(f"{out}.run", "journal"), record["plan"]["hash"]))
        spent: dict[str, float] = {}
        span: dict[str, tuple[float, float]] = {}
        for entry in entries:
            spent[entry.name] = spent.get(entry.name, 0.0) + entry.end - entry.start
            first, last = span.get(entry.name, (entry.start, entry.end))
            span[entry.name] = min(first, entry.start), max(last, entry.end)
        order = sorted(span.items(), key=lambda item: item[1])
        for (before, (_, end)), (after, (begin, _)) in pairwise(order):
            # Between two passes the driver works: between joining and writing, it numbers.
            spent[f"{before} -> {after}"] = max(0.0, begin - end)
        merging = sum(seconds for name, seconds in spent.items() if name.split(" ")[0] in ("join", "merge"))
        peaks = [worker["peak_rss_bytes"] for worker in record["workers"]]
        return {
            "passes": spent,
            "merge_share": merging / sum(spent.values()),
            "workers": len(peaks),
            "worker_peak_MiB": max(peaks) >> 20,
        }

    return look


def start(args: argparse.Namespace) -> None:
    """Start-up: the help, and a whole command on an image so small that nothing else is in it."""
    image = harness.volume((16, 64, 64))
    labels = harness.labels_of(image, 1)
    out, table, tidy = harness.scratch("tiny.ome.zarr"), harness.scratch("tiny.tsv"), harness.fresh
    tool = harness.CHUNKWISE
    candidates = [
        Candidate("python", [sys.executable, "-c", "pass"], note="an interpreter that does nothing"),
        Candidate("2 workers", harness.ours("ours.py", "blocks", "16", "2"), note="started for nothing, and stopped"),
        Candidate("chunkwise --help", [tool, "--help"]),
        Candidate("segment --help", [tool, "segment", "--help"]),
        Candidate("inspect tiny", [tool, "inspect", image, "--json", f"{out}.json"], tidy(f"{out}.json")),
        Candidate("segment tiny", [tool, "segment", image, "--output", out], tidy(out)),
        Candidate("segment tiny, 2 workers", [tool, "segment", image, "--output", out, "--workers", "2"], tidy(out)),
        Candidate(
            "measure tiny", [tool, "measure", "--labels", labels, "--image", image, "--output", table], tidy(table)
        ),
    ]
    harness.run("start", candidates, args, settings=os.path.basename(image))


def main() -> None:
    parser = harness.parser(__doc__, size=False)
    parser.add_argument("what", choices=("blocks", "merge", "linear", "start"))
    parser.add_argument("--blocks", type=int, default=10**6, help="number of blocks (default: 1000000)")
    parser.add_argument("--labels", type=int, default=10**8, help="number of labels (default: 100000000)")
    parser.add_argument("--sizes", default="0.25,1,4", metavar="GiB,GiB", help="of the volumes (default: 0.25,1,4)")
    args = parser.parse_args()
    {"blocks": blocks, "merge": merge, "linear": linear, "start": start}[args.what](args)


if __name__ == "__main__":
    main()
