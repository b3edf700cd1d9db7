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
import re
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
    image, out = inputs[one["takes"]], harness.scratch(f"catalogue-{one['family']}.ome.zarr")
    ours = [harness.CHUNKWISE, one["family"], image, *one["words"], "--output", out, "--workers", str(workers)]
    call = harness.ours("catalogue_call.py", "call", image, one["family"], one["name"])
    title = f"{one['family']} {one['name']}"
    peer = f"`{functions_of(one['equals'])}` for {title}"
    return [
        Candidate(title, ours, harness.fresh(out), note=" ".join(one["words"]), ours=True, group=title),
        Candidate(peer, call, group=title),
    ]


def functions_of(call: str) -> str:
    """What a literal call calls, without its arguments: those of SciPy and scikit-image, else of NumPy."""
    called = dict.fromkeys(re.findall(r"(?:numpy|scipy|skimage)(?:\.\w+)+(?=\()", call))
    theirs = [name for name in called if not name.startswith("numpy.") and "disk" not in name]
    return " and ".join(theirs or [name for name in called if "iinfo" not in name]) or call


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--family", help="only operations of this one")
    parser.add_argument("--methods", metavar="NAME,NAME", help="only these of it")
    args = parser.parse_args()
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    channels = image.removesuffix(".ome.zarr") + "-channels.ome.zarr"
    if not os.path.exists(channels):
        asked("channels", image, channels)
    inputs = {"image": image, "labels": harness.labels_of(image, args.workers), "channels": channels}
    for path in inputs.values():
        harness.warm(path)
    listed = json.loads(asked("all"))
    for family in dict.fromkeys(one["family"] for one in listed["operations"]):
        if args.family not in (None, family):
            continue
        of_family = [one for one in listed["operations"] if one["family"] == family]
        asked_for = args.methods.split(",") if args.methods else [one["name"] for one in of_family]
        found = [candidates(one, inputs, args.workers) for one in of_family if one["name"] in asked_for]
        settings = f"{family}, on {os.path.basename(image)}; {listed['versions']}, one thread"
        harness.run("catalogue", [candidate for pair in found for candidate in pair], args, prod(shape), settings)


if __name__ == "__main__":
    main()
