"""Measure what writing OME-Zarr 0.4 anew takes, and reckon from it what 100 TB of such stores need.

    .venv/bin/python benchmarks/resave.py FOLDER

Two volumes of synthetic nuclei (chunks of 64 x 256 x 256 in 0.4, blosc) are written anew by one worker, with and
without ``--check``; the difference between them leaves out what a run takes to start. A list of copies of a small one
says what each store of a list takes beside its voxels. Bytes are those of voxels before compression; files are counted.
What is said of 100 TB is arithmetic: it was not tried, and file systems may be slower than processors.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
from math import prod
from pathlib import Path

SMALL, LARGE, TINY = (128, 256, 256), (512, 512, 512), (64, 256, 256)

#: Bytes of a voxel, and of all that there is to do.
VOXEL, ALL = 2, 10**14
CORES = 32


def cpu(*words: str | Path) -> float:
    """CPU-seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def source(folder: Path, shape: tuple[int, ...]) -> Path:
    """A volume as 0.4, made where it is missing."""
    sizes, name = ",".join(map(str, shape)), "x".join(map(str, shape))
    image, old = folder / f"image-{name}.ome.zarr", folder / f"old-{name}.ome.zarr"
    here = Path(__file__).parent
    if not old.exists():
        if not image.exists():
            cpu(here / "synthetic.py", image, "--shape", sizes)
        cpu(here / "measured" / "convert_ours.py", "zarr", image, old)
    return old


def files(store: Path) -> tuple[int, int]:
    """How many files a store has, and their bytes."""
    found = [path.stat().st_size for path in store.rglob("*") if path.is_file()]
    return len(found), sum(found)


def main() -> None:
    """Print what was measured, and what follows from it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--stores", type=int, default=20, help="in the list (default: 20)")
    args = parser.parse_args()
    folder: Path = args.folder.resolve()
    folder.mkdir(exist_ok=True)
    os.chdir(folder)  # a list names what lies below the working directory
    small, large, tiny = (source(folder, shape) for shape in (SMALL, LARGE, TINY))
    chunkwise = ("-m", "chunkwise.cli", "convert")
    voxels = prod(LARGE) - prod(SMALL)
    rates = {}
    for check in ("yes", "no"):
        spent = []
        for path in (small, large):
            out = folder / "out.ome.zarr"
            spent.append(cpu(*chunkwise, path, "--output", out, "--workers", "1", "--check", check))
            made = files(out)
            for left in folder.glob("out.ome.zarr*"):
                shutil.rmtree(left)
        rates[check] = (spent[1] - spent[0]) / (voxels * VOXEL)
        words = "compared" if check == "yes" else "not compared"
        print(f"CPU-seconds for 1 GB, {words}: {rates[check] * 1e9:.1f} ({spent[0]:.1f} s and {spent[1]:.1f} s in all)")
    lines = [f"{tiny.name},out-{number}.ome.zarr" for number in range(args.stores)]
    (folder / "list.csv").write_text("\n".join(["source,output", *lines]))
    many = cpu(*chunkwise, "list.csv", "--output", "list.tsv", "--workers", "1")
    each = many / args.stores - rates["yes"] * prod(TINY) * VOXEL
    for left in [*folder.glob("out-*"), folder / "list.csv", folder / "list.tsv"]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    print(
        f"CPU-seconds for a store of a list, beside its voxels: {each:.2f} ({args.stores} stores, {many:.1f} s in all)"
    )
    size = prod(LARGE) * VOXEL
    before, after = ([number / size for number in found] for found in (files(large), made))
    print(f"files for 1 GB: {before[0] * 1e9:.0f} of 0.4, {after[0] * 1e9:.0f} of the result")
    print(f"stored for 1 GB: {before[1]:.2f} GB of 0.4, {after[1]:.2f} GB of the result")
    print(
        f"100 TB, files: {before[0] * ALL / 1e6:.1f} million of 0.4, {after[0] * ALL / 1e6:.1f} million of the result"
    )
    for check, rate in rates.items():
        hours = rate * ALL / 3600
        words = "compared" if check == "yes" else "not compared"
        print(f"100 TB, {words}: {hours:.0f} core-hours, {hours / CORES / 10:.1f} hours on 10 nodes of {CORES} cores")
        # The pyramid is made from what was written; comparing reads source and result once more.
        passes = before[1] + 2 * after[1] + (before[1] + after[1] if check == "yes" else 0)
        print(f"100 TB, {words}: {passes * ALL / 1e12:.0f} TB moved, {passes * ALL / 1e10 / 3600:.1f} hours at 10 GB/s")
    for stores in (10_000, 1_000_000):
        print(f"{stores} stores, beside their voxels: {each * stores / 3600:.1f} core-hours")


if __name__ == "__main__":
    main()
