"""Read every chunk of a store, one after the other: chunkwise's reader, zarr-python, zarrs, tensorstore.

    .venv/bin/python benchmarks/read.py --size 0.25

Twice: a store of plain chunks (64 x 256 x 256), and the same image in shards, read by inner chunks of 64^3.
"""

from __future__ import annotations

import os
import subprocess
from math import prod

import harness
from harness import Candidate


def main() -> None:
    args = harness.parser(__doc__).parse_args()
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    sharded = image.removesuffix(".ome.zarr") + "-full-level"
    if not os.path.exists(sharded):
        subprocess.run(harness.ours("ours.py", "level_zero", image, sharded), check=True, stdout=subprocess.DEVNULL)
    for name, store in (("plain chunks", image), ("shards", sharded)):
        harness.warm(store)
        candidates = [Candidate("chunkwise", harness.ours("ours.py", "read_ours", store), ours=True)]
        for title, library in (("zarr-python", "zarr"), ("zarrs", "zarrs"), ("tensorstore", "tensorstore")):
            candidates.append(Candidate(title, harness.peer("read_peers.py", library, store)))
        harness.run("read", candidates, args, prod(shape), f"{os.path.basename(image)}, {name}")


if __name__ == "__main__":
    main()
