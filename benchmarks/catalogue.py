"""Every operation with a kernel beside the literal call that it equals: SciPy's or scikit-image's, on the whole image.

    .venv/bin/python benchmarks/catalogue.py --size 0.0625 --repeat 1

Ours reads an OME-Zarr block by block, calculates, and writes the result with its pyramid. The call (the ``equals`` of
the declaration, which the tests hold it to) gets the whole image in memory and writes nothing; its process reads the
image, too. Both take, of the
values that the tests try, those that look farthest. What does not end within the limit of time is said.
"""

from __future__ import annotations

import json
import os
import subprocess
from math import prod
from typing import Any

import harness
from harness import Candidate


def asked(*words: str) -> str:
    """What the script of the calls says. (This process imports no NumPy: see ``harness.measure``.)"""
    return subprocess.run(harness.ours("catalogue_call.py", *words), check=True, capture_output=True, text=True).stdout


def candidates(one: dict[str, Any], inputs: dict[str, str], workers: int) -> list[Candidate]:
    """Ours, and the call."""
    image, out = inputs[one["takes"]], harness.scratch("catalogue.ome.zarr")
    ours = [harness.CHUNKWISE, one["family"], image, *one["words"], "--output", out, "--workers", str(workers)]
    call = harness.ours("catalogue_call.py", "call", image, one["family"], one["name"])
    title = f"{one['family']} {one['name']}"
    return [
        Candidate(title, ours, harness.fresh(out), note=" ".join(one["words"]), ours=True, group=title),
        Candidate(f"`{one['equals']}`", call, group=title),
    ]


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--family", help="only operations of this one")
    args = parser.parse_args()
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    channels = image.removesuffix(".ome.zarr") + "-channels.ome.zarr"
    if not os.path.exists(channels):
        asked("channels", image, channels)
    inputs = {"image": image, "labels": harness.labels_of(image, args.workers), "channels": channels}
    for path in inputs.values():
        harness.warm(path)
    chosen = [one for one in json.loads(asked("all")) if args.family in (None, one["family"])]
    found = [candidate for one in chosen for candidate in candidates(one, inputs, args.workers)]
    harness.run("catalogue", found, args, prod(shape), os.path.basename(image))


if __name__ == "__main__":
    main()
