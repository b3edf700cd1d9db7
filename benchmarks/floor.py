"""How far chunkwise is from the floor: decode the image once, one pass over its voxels, encode and write the labels.

    .venv/bin/python benchmarks/floor.py --size 0.25

The floor is measured part by part in one process, on one thread, with the reader and writer that chunkwise uses;
imports and start-up are not in it, and are in what chunkwise takes.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import harness
from harness import Candidate


def main() -> None:
    args = harness.parser(__doc__).parse_args()
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    labels = harness.labels_of(image, args.workers)
    harness.warm(image)
    harness.warm(labels)
    quick = ["--no-pyramid"] if harness.has_option("segment", "--no-pyramid") else []
    out, floor = harness.scratch("floor.ome.zarr"), harness.scratch("floor")
    command = [harness.CHUNKWISE, "segment", image, "--output", out, "--workers", str(args.workers), *quick]
    note = "" if quick else "writes its pyramid too"
    rows = harness.run(
        "floor",
        [
            Candidate("chunkwise segment", command, harness.fresh(out), note=note, ours=True),
            Candidate("floor", harness.ours("ours.py", "floor", image, labels, floor), harness.fresh(floor)),
        ],
        args,
        prod(shape),
        Path(image).name,
    )
    mine = next(row for row in rows if row["ours"])
    said = next(row["said"] for row in rows if not row["ours"])
    if said and not mine["failed"]:
        least = said["floor"]
        print(f"  floor {least:.2f} CPU-s = {prod(shape) / least / 1e6:.0f} Mvoxel/s/core; ", end="")
        print(f"chunkwise takes {mine['cpu'] / least:.2f} times that")


if __name__ == "__main__":
    main()
