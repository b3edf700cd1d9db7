"""Measure the CPU-seconds that a million voxels take, by operation: the ``rate`` of the declarations, which ``--plan``
uses.

    .venv/bin/python benchmarks/rates.py FOLDER

Each operation runs by one worker, with default parameters, on a small and on a large synthetic volume of nuclei; the
difference leaves out what it takes to start. Voxels are those that are read, of all channels and images. The volumes
are kept in FOLDER for the next time. ``predict`` has no rate: it depends on the model.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SMALL, LARGE = (128, 256, 256), (256, 512, 512)

#: What is run: the command, and how many images are read.
RUNS = {
    "convert": ("convert {image} --output {out}.ome.zarr", 1),
    "fetch": ("fetch {image} --output {out}.ome.zarr", 1),
    "filter gaussian": ("filter {image} --method gaussian --output {out}.ome.zarr", 1),
    "filter median": ("filter {image} --method median --output {out}.ome.zarr", 1),
    "filter mean": ("filter {image} --method mean --output {out}.ome.zarr", 1),
    "filter maximum": ("filter {image} --method maximum --output {out}.ome.zarr", 1),
    "threshold local": ("threshold {image} --method local --output {out}.ome.zarr", 1),
    "threshold value": ("threshold {image} --method value --threshold 1000 --output {out}.ome.zarr", 1),
    "segment": ("segment {image} --output {out}.ome.zarr", 1),
    "segment --split distance": ("segment {image} --split distance --output {out}.ome.zarr", 1),
    "objects --method threshold": (
        "objects {maps} --method threshold --channels foreground=0 --output {out}.ome.zarr",
        1,
    ),
    "measure": ("measure --labels {labels} --output {out}.tsv", 1),
    "measure --image": ("measure --labels {labels} --image {image} --output {out}.tsv", 2),
    "compare": ("compare {labels} {labels} --output {out}.json", 2),
}


def cpu(words: list[str]) -> float:
    """CPU-seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-m", "chunkwise.cli", *words, "--workers", "1"], check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def inputs(folder: Path, shape: tuple[int, ...]) -> dict[str, str]:
    """An image, labels of it, and a map, made where they are missing."""
    sizes = ",".join(map(str, shape))
    made = {name: str(folder / f"{name}-{sizes}.ome.zarr") for name in ("image", "labels", "maps")}
    if not os.path.exists(made["image"]):
        script = Path(__file__).with_name("synthetic.py")
        subprocess.run([sys.executable, script, made["image"], "--shape", sizes], check=True)
    if not os.path.exists(made["labels"]):
        cpu(["segment", made["image"], "--output", made["labels"]])
    if not os.path.exists(made["maps"]):
        import zarr

        shutil.copytree(made["image"], made["maps"])
        level: Any = zarr.open_array(f"{made['maps']}/0", mode="r")
        whole: Any = level[...].astype("float32") / 4000
        shutil.rmtree(f"{made['maps']}/0")
        zarr.create_array(f"{made['maps']}/0", data=whole, chunks=level.chunks, dimension_names=["z", "y", "x"])
    return made


def main() -> None:
    """Print the rates."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", help="names that begin so")
    args = parser.parse_args()
    args.folder.mkdir(exist_ok=True)
    voxels = [float(shape[0] * shape[1] * shape[2]) for shape in (SMALL, LARGE)]
    stores = [inputs(args.folder, shape) for shape in (SMALL, LARGE)]
    for name, (words, images) in RUNS.items():
        if args.only and not name.startswith(args.only):
            continue
        found = []
        for made in stores:
            out = args.folder / "out"
            found.append(cpu([word.format(**made, out=out) for word in words.split()]))
            for path in args.folder.glob("out*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        rate = (found[1] - found[0]) / (voxels[1] - voxels[0]) / images * 10**6
        print(
            f"{name:28} {rate:6.3f} CPU-s a million voxels ({found[0]:.1f} s and {found[1]:.1f} s in all)", flush=True
        )


if __name__ == "__main__":
    main()
