"""Gaussian of sigma 1, Otsu, components with corners, written as Zarr without a pyramid: chunkwise and its peers.

    .venv/bin/python benchmarks/segment.py --size 0.25
    .venv/bin/python benchmarks/segment.py --mosaic

What each does is in measured/segment_peers.py. Afterwards, outside what is measured, the distinct labels of every
output are counted.
"""

from __future__ import annotations

import os
import shutil
from math import prod
from pathlib import Path
from typing import Any

import harness
from harness import Candidate


def candidates(image: str, ndim: int, workers: int, size: str) -> list[Candidate]:
    """Chunkwise and its peers on one image."""
    quick = ["--no-pyramid"] if harness.has_option("segment", "--no-pyramid") else []
    note = "" if quick else "writes its pyramid too: this chunkwise has no --no-pyramid"
    found = []
    # The first two work in one process, as the peers do; the third shows what spreading the work over workers costs.
    for name, group, connectivity, processes in (
        ("chunkwise", "", ndim, 1),
        ("chunkwise, faces", "faces", 1, 1),
        (f"chunkwise on {max(2, workers)} Dask workers", "", ndim, max(2, workers)),
    ):
        out = harness.scratch(f"{name.replace(', ', '-').replace(' ', '-')}-{size}.ome.zarr")
        options = ["--workers", str(processes), "--connectivity", str(connectivity), *quick]
        command = [harness.CHUNKWISE, "segment", image, "--output", out, *options]
        counts, ours = harness.counts(f"{out}/0"), processes == 1
        found.append(Candidate(name, command, harness.fresh(out), counts, note, ours, group))
    for name, function, group, note in (
        ("dask-image", "dask_image", "", ""),
        ("scikit-image", "scikit_image", "", "in memory"),
        ("scipy", "scipy", "", "in memory"),
        ("patchworks", "patchworks", "", "joins faces only between tiles"),
        ("python-elf", "elf", "faces", "joins faces only; in memory; its own Gaussian (float32)"),
        ("python-elf, SciPy's Gaussian", "elf_scipy", "faces", "joins faces only; in memory"),
    ):
        out = harness.scratch(f"{function}-{size}.zarr")
        array = f"{out}/labels" if name == "patchworks" else out
        command = harness.peer("segment_peers.py", function, image, out)
        found.append(
            Candidate(name, command, harness.fresh(out, f"{out}.mask"), harness.counts(array), note, group=group)
        )
    copy = harness.scratch(f"ngio-{size}.ome.zarr")
    found.append(
        Candidate(
            "ngio",
            harness.peer("segment_peers.py", "ngio", copy, f"{copy}/labels"),
            lambda: _copy(image, copy),
            harness.counts(f"{copy}/labels/nuclei/0"),
            "joins tiles by overlap",
        )
    )
    return found


def _copy(image: str, copy: str) -> None:
    """A copy of a store that may be written into; its chunks are links."""
    shutil.rmtree(copy, ignore_errors=True)

    def link(source: str, target: str) -> Any:
        return shutil.copy2(source, target) if source.endswith(".json") else os.link(source, target)

    shutil.copytree(image, copy, copy_function=link)


def compare(rows: list[dict[str, Any]]) -> None:
    """Say whose number of objects differs from ours."""
    for row in rows:
        own = next(r for r in rows if r["ours"] and r["group"] == row["group"])
        mine, theirs = own["said"].get("objects"), row["said"].get("objects")
        if not row["failed"] and not own["failed"] and mine != theirs:
            print(f"  {row['name']} has {theirs} objects, {own['name']} {mine}: {theirs - mine:+d}")


def main() -> None:
    parser = harness.parser(__doc__)
    parser.add_argument(
        "--mosaic",
        action="store_true",
        help="a real 2-D mosaic of nuclei, mirrored on to 64 Mvoxel, in place of the volume",
    )
    args = parser.parse_args()
    if args.mosaic:
        image, shape = harness.mosaic()
    else:
        shape = harness.volume_shape(args.size)
        image = harness.volume(shape)
    harness.warm(image)
    name = "x".join(map(str, shape))
    rows = harness.run(
        "segment", candidates(image, len(shape), args.workers, name), args, prod(shape), f"{Path(image).name}"
    )
    compare(rows)


if __name__ == "__main__":
    main()
