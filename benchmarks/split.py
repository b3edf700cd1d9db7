"""Touching nuclei parted by distance: chunkwise, block by block and component by component, and scikit-image in memory.

.venv/bin/python benchmarks/split.py --size 0.25
"""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import harness
from harness import Candidate


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--distance", type=int, default=5, help="least distance of two seeds, in voxels (default: 5)")
    args = parser.parse_args()
    if not harness.has_option("segment", "--split"):
        raise SystemExit("This chunkwise has no 'segment --split'.")
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    harness.warm(image)
    with open(f"{image}/zarr.json", encoding="utf-8") as file:
        dataset = json.load(file)["attributes"]["ome"]["multiscales"][0]["datasets"][0]
    spacing = ",".join(map(str, dataset["coordinateTransformations"][0]["scale"]))
    quick = ["--no-pyramid"] if harness.has_option("segment", "--no-pyramid") else []
    out, theirs = harness.scratch("split.ome.zarr"), harness.scratch("split-skimage.zarr")
    options = ["--split", "distance", "--split-min-distance", str(args.distance), "--workers", str(args.workers)]
    harness.run(
        "split",
        [
            Candidate(
                "chunkwise",
                [harness.CHUNKWISE, "segment", image, "--output", out, *options, *quick],
                harness.fresh(out),
                harness.counts(f"{out}/0"),
                "" if quick else "writes its pyramid too",
                True,
            ),
            Candidate(
                "scikit-image",
                harness.peer("split_peers.py", image, theirs, str(args.distance), spacing),
                harness.fresh(theirs),
                harness.counts(theirs),
                "in memory",
            ),
        ],
        args,
        prod(shape),
        f"{Path(image).name}, seeds {args.distance} apart",
    )


if __name__ == "__main__":
    main()
