"""Bring an image in: a tiled BigTIFF (zlib), a stack in strips, an OME-Zarr 0.4; ours, the peers', and the floor.

    .venv/bin/python benchmarks/convert.py --size 0.25

Each question has its own ratios. All write OME-Zarr 0.5 with smaller levels by mean, each with the chunks and the codec
that it takes by itself; then the voxels of its full level are summed up, and whoever lost some is named. The floor
is decode, encode and levels in plain tifffile, zarr-python and NumPy on one thread, without start-up: each voxel is
decoded once, and the levels are made of what is in memory. It keeps no journal, hashes nothing, and checks nothing.
Lower still are the codecs alone: the same without zarr-python, and without writing anything.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import lru_cache
from math import prod
from typing import Any

import harness
from harness import Candidate

#: What there is to bring in, and what it is called in the tables.
INPUTS = {"tiled": "BigTIFF, tiles, zlib", "striped": "BigTIFF, strips, not compressed", "zarr": "OME-Zarr 0.4, blosc"}

#: Where all write, one after the other.
OUT = "converted.ome.zarr"

Look = Callable[[], dict[str, Any]]


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument("--inputs", default=",".join(INPUTS), help=f"some of {', '.join(INPUTS)} (default: all)")
    parser.add_argument("--keep", action="store_true", help="leave the inputs for the next time")
    args = parser.parse_args()
    shape = harness.volume_shape(args.size)
    for kind in args.inputs.split(","):
        source = _input(shape, kind)
        harness.warm(source)
        runs = "one run" if args.repeat == 1 else f"best of {args.repeat}"
        settings = f"{INPUTS[kind]}, {'x'.join(map(str, shape))} uint16, {runs}"
        _say_floor(harness.run("convert", _candidates(kind, source, shape, args.workers), args, prod(shape), settings))
        if not args.keep:
            harness.fresh(source)()


def _input(shape: tuple[int, ...], kind: str) -> str:
    """Path of an input, made when it is missing."""
    image = harness.volume(shape)
    path = image.removesuffix(".ome.zarr") + ("-04.ome.zarr" if kind == "zarr" else f"-{kind}.ome.tif")
    if not os.path.exists(path):
        print(f"making {os.path.basename(path)}", file=sys.stderr)
        part = f"{path}.part"
        harness.fresh(part)()
        subprocess.run(harness.ours("convert_ours.py", kind, image, part), check=True, stdout=subprocess.DEVNULL)
        os.rename(part, path)
    return path


def _candidates(kind: str, source: str, shape: tuple[int, ...], workers: int) -> list[Candidate]:
    done = subprocess.run(
        harness.ours("ours.py", "factors", harness.volume(shape)), check=True, capture_output=True, text=True
    )
    factors, out = done.stdout.strip(), harness.scratch(OUT)
    look = _looker(out, harness.volume(shape))
    ours = [harness.CHUNKWISE, "convert", source, "--output", out, "--workers", str(workers), "--check"]
    about = f"journal, hashes; {workers} worker{'s' if workers > 1 else ''}"
    floor = harness.ours("convert_ours.py", "floor", source, out)
    script = str(harness.MEASURED / "convert_peers.py")
    bioio = ["bioio-convert", source, "-d", out, "-n", "image", "--downsample-z", "--num-levels"]
    made = [
        Candidate("chunkwise", [*ours, "no"], harness.fresh(out), look, about, ours=True),
        Candidate("chunkwise, checked", [*ours, "yes"], harness.fresh(out), look, "compares every voxel, too"),
        Candidate("floor", floor, harness.fresh(out), look, "one thread; no journal, no hashes, no check"),
        Candidate("codecs alone", [*floor, "bare"], note="one thread; zstd of numcodecs; nothing is written"),
        _peer("ngff-zarr", "peers", ["ngff-zarr", "-m", "itkwasm_bin_shrink", "-q", "-i", source, "-o", out], look),
        _peer("ome-zarr", "peers", ["python", script, "ome_zarr", source, out, factors], look, "write_image of dask"),
        _peer("iohub", "iohub", ["python", script, "iohub", source, out, factors], look, "slabs, compute_pyramid"),
        _peer("bioio-conversion", "bioio", [*bioio, str(len(json.loads(factors)) + 1)], look),
    ]
    if kind == "zarr":
        sizes = ["--output-chunks", "64,64,64", "--output-shards", "256,256,256"]
        resave = ["ome2024-ngff-challenge", "resave", "--silent", "--rocrate-skip", *sizes, source, out]
        made.append(_peer("ome2024-ngff-challenge", "challenge", resave, look))
    return made


def _peer(name: str, environment: str, command: Sequence[str], look: Look, call: str = "") -> Candidate:
    """A program of a peer's environment; its version and call are said beside it."""
    folder = harness.peers(environment) / "bin"
    asked = [str(folder / "python"), "-c", f"import importlib.metadata as m; print(m.version({name!r}))"]
    version = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
    # Without the paths, which are the same for all.
    words = [word for word in command if not word.startswith(str(harness.ROOT))]
    note = f"{version}, {call or shlex.join(words)}; as many threads as it takes on {os.cpu_count()} cores"
    program = [str(folder / command[0]), *command[1:]]
    return Candidate(name, program, harness.fresh(harness.scratch(OUT)), look, note)


def _looker(out: str, image: str) -> Look:
    """What says which levels were written, and whether the full one adds up to what the source does."""

    @lru_cache(maxsize=1)
    def total() -> int:
        return int(look(image)["sum"])

    def look(store: str) -> dict[str, Any]:
        found = harness.ours("convert_ours.py", "look", store)
        return dict(json.loads(subprocess.run(found, check=True, capture_output=True, text=True).stdout))

    def compare() -> dict[str, Any]:
        found = look(out)
        same = found.pop("sum") == total()
        return found if same else found | {"voxels": "OTHERS THAN IN THE SOURCE"}

    return compare


def _say_floor(rows: list[dict[str, Any]]) -> None:
    """Say how far each is from the floor, and from the codecs alone."""
    lowest = [row["said"].get("floor") for row in rows if row["name"] in ("floor", "codecs alone")]
    for row in rows:
        if not row["failed"] and all(lowest):
            times = " and ".join(f"{row['cpu'] / floor:.2f}" for floor in lowest)
            print(f"  {row['name']}: {times} times the floor, and the codecs alone")


if __name__ == "__main__":
    main()
