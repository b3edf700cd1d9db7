"""Measure the CPU-seconds that a million voxels take, by operation, and write them where ``--plan`` finds them.

    .venv/bin/python benchmarks/rates.py FOLDER [--only filter]

Each operation runs by one worker, with default parameters, on a small and on a larger synthetic volume of nuclei; the
difference leaves out what it takes to start. Voxels are those that are read, of all channels and images. The volumes
are kept in FOLDER for the next time. ``predict`` has no rate, which depends on the model, ``points`` none, which
depends on the table, and nothing has one that takes more than LIMIT seconds for the small volume.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import harness

from chunkwise.operations import families, has_methods, operations_of
from chunkwise.operations.model import Labels, Operation, Table

LIMIT = 240
SMALL, LARGE = (96, 256, 256), (192, 384, 384)
RATES = Path(__file__).parents[1] / "src" / "chunkwise" / "running" / "rates.json"

#: Words beside the image, where an operation cannot do without them.
WORDS = {
    "channels merge": "--b {image}",
    "compare compare": "{labels}",
    "label join": "--table {table} --column label",
    "label map": "--table {table} --column num_pixels",
    "label rules": "--table {table} --rule num_pixels>100",
    "math math": "--expression a+1",
    "overlay overlay": "--labels {labels}",
    "threshold hysteresis": "--low 500 --high 1000",
    "threshold value": "--threshold 1000",
}
#: What is read instead of the image, or the labels.
READS = {
    "label components": "{mask}",
    "label split": "{mask}",
    "measure measure": "--labels {labels}",
    "morphology fill-holes": "{mask}",
    "morphology small-holes": "{mask}",
}
#: Further runs of one operation: its values that differ, and their words.
FURTHER: dict[str, tuple[dict[str, Any], str]] = {"segment segment": ({"split": "distance"}, "--split distance")}
#: Values without which what was measured does not hold.
ONLY_WITH: dict[str, dict[str, Any]] = {
    "segment segment": {"split": None},
    "measure measure": {"properties": None},
    "objects objects": {"method": "threshold"},
}
NOT = ("predict", "points")


def runs() -> Iterator[tuple[Operation, dict[str, Any], str, int]]:
    """Operation, the values that it is measured for, its words, and how many volumes it reads."""
    for family in families():
        if family in NOT:
            continue
        for operation in operations_of(family).values():
            name = f"{family} {operation.name}"
            first = "{labels}" if isinstance(next(iter(operation.takes.values())), Labels) else "{image}"
            if operation.mixes is not None:
                first = "{channels}"
            method = f"--method {operation.name}" if has_methods(family) else ""
            if family == "objects":
                first, method = "{maps}", "--method threshold --channels foreground=0"
            ending = ".tsv" if isinstance(operation.gives, Table) else ".ome.zarr"
            if family == "compare":
                ending = ".json"
            words = f"{family} {READS.get(name, first)} {method} {WORDS.get(name, '')} --output {{out}}{ending}"
            read = sum(words.count(f"{{{one}}}") for one in ("image", "labels", "mask", "maps", "channels"))
            yield operation, ONLY_WITH.get(name, {}), words, read
            if name in FURTHER:
                values, more = FURTHER[name]
                yield operation, values, f"{words} {more}", read


def cpu(words: list[str]) -> float:
    """CPU-seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "chunkwise.cli", *words, "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    if done.returncode:
        sys.exit(f"{' '.join(words)}: {done.stderr}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def inputs(folder: Path, shape: tuple[int, ...]) -> dict[str, str]:
    """An image, and what is made of it, made where it is missing."""
    sizes = ",".join(map(str, shape))
    made = {name: str(folder / f"{name}-{sizes}.ome.zarr") for name in ("image", "labels", "mask", "maps", "channels")}
    made["table"] = str(folder / f"table-{sizes}.tsv")
    if not os.path.exists(made["image"]):
        script = Path(__file__).with_name("synthetic.py")
        subprocess.run([sys.executable, script, made["image"], "--shape", sizes], check=True)
    steps = {
        "labels": ["segment", made["image"]],
        "mask": ["threshold", made["image"], "--method", "otsu"],
        "table": ["measure", "--labels", made["labels"]],
    }
    for name, words in steps.items():
        if not os.path.exists(made[name]):
            cpu([*words, "--output", made[name]])
    if not os.path.exists(made["channels"]):
        script = Path(__file__).with_name("measured") / "catalogue_call.py"
        subprocess.run([sys.executable, script, "channels", made["image"], made["channels"]], check=True)
    if not os.path.exists(made["maps"]):
        import zarr

        shutil.copytree(made["image"], made["maps"])
        level: Any = zarr.open_array(f"{made['maps']}/0", mode="r")
        whole: Any = level[...].astype("float32") / 4000
        shutil.rmtree(f"{made['maps']}/0")
        zarr.create_array(f"{made['maps']}/0", data=whole, chunks=level.chunks, dimension_names=["z", "y", "x"])
    return made


def main() -> None:
    """Write the rates, and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="family and method that begin so; the others stay as they are")
    args = parser.parse_args()
    args.folder.mkdir(exist_ok=True)
    voxels = [float(shape[0] * shape[1] * shape[2]) for shape in (SMALL, LARGE)]
    stores = [inputs(args.folder, shape) for shape in (SMALL, LARGE)]
    known = json.loads(RATES.read_text())["rates"] if args.only else []
    rates = [one for one in known if not f"{one['family']} {one['method']}".startswith(args.only)]
    for operation, values, words, images in runs():
        name = f"{operation.family} {operation.name}"
        if not name.startswith(args.only):
            continue
        found, out = [], args.folder / "out"
        for made in stores:
            with suppress(subprocess.TimeoutExpired):
                found.append(cpu([word.format(**made, out=out) for word in words.split()]))
            for path in args.folder.glob("out*"):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        if len(found) < len(stores):
            print(f"{name:28} not measured: stopped after {LIMIT} s")
            continue
        rate = (found[1] - found[0]) / (voxels[1] - voxels[0]) / images * 10**6
        print(f"{name:28} {rate:6.4f} CPU-s a million voxels ({found[0]:.1f} s and {found[1]:.1f} s)", flush=True)
        rates.append(
            {
                "family": operation.family,
                "method": operation.name,
                "values": values,
                "cpu_seconds_a_million_voxels": float(f"{max(rate, 0.001):.2g}"),
            }
        )
    rates.sort(key=lambda one: (one["family"], one["method"]))
    rows = ",\n  ".join(json.dumps(one) for one in rates)
    about = harness.machine()["processor"]
    if os.getloadavg()[0] > (os.cpu_count() or 1):
        about += ", all cores busy"
    RATES.write_text(f'{{"processor": {json.dumps(about)}, "rates": [\n  {rows}\n]}}\n')


if __name__ == "__main__":
    main()
