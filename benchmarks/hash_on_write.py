"""What the sha256 of every object costs a run that writes a store: with it, without it, and taken afterwards.

    .venv/bin/python benchmarks/hash_on_write.py --size 1
    .venv/bin/python benchmarks/hash_on_write.py --size 0.25 --copy

Segmentation writes labels, which compress well, so that little is hashed. --copy measures the worst there is: an image
written again as it is, where nothing is computed and every byte is hashed. Without it means that sha256 is replaced by
a constant, in the measured process alone. 'counted' is a run whose calls of sha256 are timed one by one, in CPU time:
its share does not drown in what else the machine does.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from math import prod
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import harness
from harness import Candidate


class Constant:
    """A digest that costs nothing."""

    def __init__(self, content: bytes) -> None:
        pass

    def hexdigest(self) -> str:
        return "0" * 64


class Clock:
    """Adds up what hashing takes."""

    def __init__(self) -> None:
        self.seconds, self.size = 0.0, 0

    def sha256(self, content: bytes) -> Any:
        begin = time.thread_time()
        digest = hashlib.sha256(content)
        digest.hexdigest()
        self.seconds += time.thread_time() - begin
        self.size += len(content)
        return digest


def measured(how: str, words: list[str]) -> int:
    """The run that is measured, in this process."""
    from chunkwise.cli import main as chunkwise
    from chunkwise.storage import writer

    clock = Clock()
    if how in ("without", "afterwards"):
        vars(writer)["hashlib"] = SimpleNamespace(sha256=Constant)
    elif how == "counted":
        vars(writer)["hashlib"] = clock
    begin = time.process_time(), time.perf_counter()
    code = chunkwise(words)
    spent = {"cpu": time.process_time() - begin[0], "wall": time.perf_counter() - begin[1]}
    if how == "afterwards":
        output = words[words.index("--output") + 1]
        for folder, _, names in os.walk(output):
            for name in names:
                clock.sha256(Path(folder, name).read_bytes())
    if clock.size:
        said = {"hashed_MiB": round(clock.size / 2**20, 1), "hashing_s": round(clock.seconds, 3)}
        if how == "counted":
            said |= {f"percent_of_{name}": round(100 * clock.seconds / value, 2) for name, value in spent.items()}
        print(json.dumps(said))
    return code


def main() -> None:
    if sys.argv[1:2] == ["--measured"]:
        sys.exit(measured(sys.argv[2], sys.argv[3:]))
    parser = harness.parser(__doc__)
    parser.set_defaults(json=str(harness.BENCH / "hash_on_write.jsonl"))
    parser.add_argument("--copy", action="store_true", help="write the image again, in place of segmenting it")
    args = parser.parse_args()
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    harness.warm(image)
    title = "copy" if args.copy else "segment"
    candidates = []
    for how in ("on write", "without", "afterwards", "counted"):
        out = harness.scratch(f"hash-{how.split()[0]}.ome.zarr")
        words = ["fetch" if args.copy else "segment", image, "--output", out, "--workers", "1"]
        command = [sys.executable, str(Path(__file__)), "--measured", how, *words]
        candidates.append(Candidate(how, command, harness.fresh(out), ours=how == "on write"))
    rows = {row["name"]: row for row in harness.run(f"hash on write, {title}", candidates, args, prod(shape), image)}
    if not any(row["failed"] for row in rows.values()) and {"on write", "without"} <= rows.keys():
        for name in ("cpu", "wall"):
            more = 100 * (rows["on write"][name] / rows["without"][name] - 1)
            print(f"  with hashing {name} is {more:+.1f} % of that without")


if __name__ == "__main__":
    main()
