"""Measure segmentations against ground truth: tables and pictures of docs/accuracy.md.

    make accuracy        (.venv-train/bin/python benchmarks/accuracy/score.py)

Nuclei: ../shared/data/dsb2018_nuclei2d, which nothing was trained or tuned on. Cells of plant tissue in 3-D:
../shared/data/plantseg_ovule3d. Everything is computed on the whole image, with scikit-image, SciPy and ONNX Runtime;
docs/exactness.md says how chunkwise's blocks are held to that.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import classical
import numpy as np
import yaml
from networks import Network
from pictures import write_pictures

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "training"))

from data import Picture, grey, read_pictures  # noqa: E402
from decode import average_precision, matches, objects_of, without_small  # noqa: E402

Array = np.ndarray[Any, Any]
THRESHOLDS = (0.5, 0.7, 0.9)
MEASURED = Path(__file__).parent / "measured.json"


def seen(picture: Picture) -> Array:
    """What a method gets: one channel of whole numbers."""
    return np.rint(grey(picture.image)).astype(np.uint8)


def with_classical(settings: classical.Settings) -> Callable[[Picture], Array]:
    """Dark objects are asked for in bright-field images, as whoever looks at one would."""
    return lambda picture: classical.segment(seen(picture), settings.for_polarity(picture.group.startswith("bright")))


def with_broad(network: Network) -> Callable[[Picture], Array]:
    """Its one map, at one half, in components."""
    from skimage.measure import label

    return lambda picture: without_small(label(network.maps(seen(picture))[0] > 0.5, connectivity=2), 20)


def with_ours(network: Network, objects: dict[str, Any]) -> Callable[[Picture], Array]:
    """Its maps become objects as the package says."""

    def run(picture: Picture) -> Array:
        maps = network.maps(seen(picture))
        chosen = {name: maps[index] for name, index in objects["channels"].items()}
        return objects_of(chosen, objects["method"], objects["parameters"])

    return run


def table(pictures: list[Picture], counts: dict[str, Array]) -> list[dict[str, Any]]:
    """AP by method and set of images, pooled and as the mean over images."""
    groups = np.array([p.group for p in pictures])
    dark = np.char.startswith(groups, "dark")
    sets = {
        "all dark": dark,
        "all of one channel": dark | (groups == "bright_1024x1024"),
        "all": np.ones(len(groups), bool),
    }
    sets |= {str(name): groups == name for name in sorted(set(groups))}
    rows = []
    for where, chosen in sets.items():
        for method, of_images in counts.items():
            part = of_images[chosen]
            pooled, single = average_precision(part.sum(0)), average_precision(part).mean(0)
            rows.append(
                {
                    "images": where,
                    "n": int(chosen.sum()),
                    "objects": int(part[:, 0, 0].sum() + part[:, 0, 2].sum()),
                    "method": method,
                    "pooled": [round(float(v), 3) for v in pooled],
                    "mean": [round(float(v), 3) for v in single],
                }
            )
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=ROOT.parent / "shared")
    parser.add_argument("--package", type=Path, default=ROOT / "models" / "nuclei")
    parser.add_argument("--keep", type=Path, help="folder where counts of each method are kept, and taken from again")
    parser.add_argument("--only", help="one method, printed and not written: classical-default, ours, ...")
    arguments = parser.parse_args()
    data = arguments.shared / "data"
    pictures = read_pictures(data / "dsb2018_nuclei2d")

    def ours() -> Callable[[Picture], Array]:
        about = yaml.safe_load((arguments.package / "rdf.yaml").read_text())
        return with_ours(Network(arguments.package / "rdf.yaml"), about["config"]["chunkwise"]["objects"])

    broad = arguments.shared / "models" / "unet2d_nuclei_broad" / "bioimageio.yaml"
    methods: dict[str, Callable[[], Callable[[Picture], Array]]] = {
        "classical, default": lambda: with_classical(classical.DEFAULT),
        "classical, tuned": lambda: with_classical(classical.TUNED),
        "nuclei_broad": lambda: with_broad(Network(broad)),
        "nuclei (ours)": ours,
    }
    if arguments.only:
        methods = {arguments.only: methods[arguments.only]}
    labels: dict[str, list[Array]] = {}
    counts: dict[str, Array] = {}
    for name, make in methods.items():
        kept = arguments.keep / f"{name}.npy" if arguments.keep else None
        if kept and kept.exists():
            counts[name] = np.load(kept)
            continue
        began = time.monotonic()
        run = make()
        labels[name] = [run(picture) for picture in pictures]
        counts[name] = np.array([matches(p.labels, found) for p, found in zip(pictures, labels[name], strict=True)])
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        if kept and name != "nuclei (ours)":
            kept.parent.mkdir(parents=True, exist_ok=True)
            np.save(kept, counts[name])
    rows = table(pictures, counts)
    for row in rows:
        print(f"{row['images']:22s} {row['n']:3d} {row['method']:20s} {row['pooled']} mean {row['mean']}")
    if arguments.only:
        return
    from ovule import measure_ovule

    measured = {
        "tuned": classical.TUNED.command(),
        "nuclei": rows,
        "ovule": measure_ovule(data / "plantseg_ovule3d"),
        "images": [
            {"name": p.name, "group": p.group, "ap50": round(float(average_precision(c)[0]), 3)}
            for p, c in zip(pictures, counts["nuclei (ours)"], strict=True)
        ],
    }
    MEASURED.write_text(json.dumps(measured, indent=1) + "\n")
    write_pictures(pictures, [seen(p) for p in pictures], labels["nuclei (ours)"], counts["nuclei (ours)"])
    from accuracy_page import write_page

    write_page(measured)


if __name__ == "__main__":
    main()
