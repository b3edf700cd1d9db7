"""A pyramid of three levels, by the mean, of 256 MiB of uint16: chunkwise, ome-zarr-py, ngff-zarr.

    .venv/bin/python benchmarks/pyramid.py

Two questions, each with its own ratio. *store*: read a store, write it anew with its pyramid (of chunkwise that is
``fetch``). *levels*: the lower levels alone, of a full level that is there; of the peers only tensorstore, which is
no pyramid writer, can be asked that.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import harness
from harness import Candidate


def main() -> None:
    parser = harness.parser(__doc__, size=False)
    parser.add_argument("--shape", default="256,512,1024", help="of the volume (default: 256 MiB)")
    args = parser.parse_args()
    shape = tuple(int(part) for part in args.shape.split(","))
    image = harness.volume(shape)
    full = image.removesuffix(".ome.zarr") + "-full-level"
    if not os.path.exists(full):
        subprocess.run(harness.ours("ours.py", "level_zero", image, full), check=True, stdout=subprocess.DEVNULL)
    harness.warm(image)
    harness.warm(full)
    workers = str(args.workers)
    # Chunkwise keeps axes that are thin; the peers get the same factors.
    done = subprocess.run(harness.ours("ours.py", "factors", image), check=True, capture_output=True, text=True)
    factors = done.stdout.strip()
    fetched, levels = harness.scratch("fetched.ome.zarr"), harness.scratch("levels")
    candidates = [
        Candidate(
            "chunkwise fetch",
            [harness.CHUNKWISE, "fetch", image, "--output", fetched, "--workers", workers],
            harness.fresh(fetched),
            _levels(fetched),
            "hashes what it writes, keeps a journal",
            True,
            "store",
        )
    ]
    for name, arguments, note in (
        ("ome-zarr-py", ["ome_zarr"], "local mean"),
        ("ngff-zarr", ["ngff_zarr", "DASK_BIN_SHRINK"], "bin shrink by Dask"),
        ("ngff-zarr, ITK", ["ngff_zarr", "ITKWASM_BIN_SHRINK"], "bin shrink by ITK-Wasm"),
        ("ngff-zarr, default", ["ngff_zarr", "ITKWASM_GAUSSIAN"], "smooths: more work than a mean"),
    ):
        out = harness.scratch(f"pyramid-{'-'.join(arguments)}.ome.zarr")
        command = harness.peer("pyramid_peers.py", arguments[0], image, out, factors, *arguments[1:])
        candidates.append(Candidate(name, command, harness.fresh(out), _levels(out), note, group="store"))
    candidates += [
        Candidate(
            "chunkwise write_pyramid",
            harness.ours("ours.py", "pyramid", image, levels, workers),
            lambda: _link(full, levels),
            _levels(levels),
            "levels below the full one only",
            True,
            "levels",
        ),
        Candidate(
            "tensorstore",
            harness.peer("pyramid_peers.py", "tensorstore", image, f"{levels}-ts", factors),
            harness.fresh(f"{levels}-ts"),
            _levels(f"{levels}-ts"),
            "levels below the full one only, one thread",
            group="levels",
        ),
    ]
    harness.run("pyramid", candidates, args, prod(shape), Path(image).name)


def _link(full: str, levels: str) -> None:
    harness.fresh(levels)()
    shutil.copytree(full, levels, copy_function=os.link)


def _levels(folder: str) -> Callable[[], dict[str, Any]]:
    """Says which levels were written."""

    def look() -> dict[str, Any]:
        documents = ((path.parent, json.loads(path.read_text())) for path in Path(folder).rglob("zarr.json"))
        shapes = sorted((tuple(d["shape"]) for _, d in documents if d["node_type"] == "array"), reverse=True)
        return {"levels": " ".join("x".join(map(str, shape)) for shape in shapes)}

    return look


if __name__ == "__main__":
    main()
