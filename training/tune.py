"""Choose the way from maps to objects, and its thresholds, on the validation part alone.

python training/tune.py --data FOLDER --run FOLDER        (writes tuned.json into the run)
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from data import Picture, grey, normalise, read_pictures
from decode import average_precision, matches, objects_of, without_small
from train import MAPS, parts, predict, trained

__all__ = ["found_by_contact", "tune"]

Maps = NDArray[np.float32]

GRIDS: dict[str, dict[str, tuple[float, ...]]] = {
    "foreground-boundary": {"threshold": (0.4, 0.5, 0.6), "seed_threshold": (-0.1, 0.0, 0.1, 0.2, 0.3, 0.4, 0.5)},
    "foreground-distance": {"threshold": (0.4, 0.5, 0.6), "seed_threshold": (0.2, 0.4), "min_distance": (4, 6, 8)},
}
MIN_SIZES = (10, 20, 30, 40)


def named(maps: Maps) -> dict[str, Maps]:
    """The maps by their names."""
    return dict(zip(MAPS, maps, strict=True))


def tune(pictures: list[Picture], maps: list[Maps]) -> list[dict[str, Any]]:
    """Every method and setting with its AP, the best first.

    The score is the mean of AP@0.5 and AP@0.7, pooled over dark images and over all.
    """
    found = []
    dark = np.array([picture.group.startswith("dark") for picture in pictures])
    for method, grid in GRIDS.items():
        for values in itertools.product(*grid.values()):
            plain = dict(zip(grid, values, strict=True))
            # Small objects are dropped last, so that one decoding serves every smallest size.
            results = [objects_of(named(m), method, {**plain, "min_size": 0}) for m in maps]
            for min_size in MIN_SIZES:
                kept = [without_small(labels, min_size) for labels in results]
                counts = np.array([matches(p.labels, labels) for p, labels in zip(pictures, kept, strict=True)])
                pooled = np.array([average_precision(part.sum(0)) for part in (counts[dark], counts)])
                found.append(
                    {
                        "method": method,
                        "parameters": {**plain, "min_size": min_size},
                        "score": round(float(pooled[:, :2].mean()), 4),
                        "dark": [round(float(v), 4) for v in pooled[0]],
                        "all": [round(float(v), 4) for v in pooled[1]],
                    }
                )
    return sorted(found, key=lambda row: -row["score"])


def found_by_contact(pictures: list[Picture], results: list[NDArray[np.int32]]) -> dict[str, list[int]]:
    """How many dark nuclei there are, and are found at 0.5: of those that touch another one, and of the others."""
    counts = {"touching": [0, 0], "apart": [0, 0]}
    for picture, labels in zip(pictures, results, strict=True):
        if not picture.group.startswith("dark"):
            continue
        truth = picture.labels
        highest = ndimage.maximum_filter(truth, 3)
        lowest = ndimage.minimum_filter(np.where(truth > 0, truth, np.iinfo(np.int32).max), 3)
        touching = set(np.unique(truth[(truth > 0) & (highest != lowest)]))
        for number in np.unique(truth[truth > 0]):
            inside = truth == number
            beside, overlaps = np.unique(labels[inside & (labels > 0)], return_counts=True)
            shares = [n / ((labels == other) | inside).sum() for other, n in zip(beside, overlaps, strict=True)]
            row = counts["touching" if number in touching else "apart"]
            row[0] += 1
            row[1] += max(shares, default=0) > 0.5
    return {name: [int(n) for n in row] for name, row in counts.items()}


def main() -> None:
    """Write every setting with its scores, the best first."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="folder that train.py wrote")
    arguments = parser.parse_args()
    torch.set_num_threads(min(2, os.cpu_count() or 1))
    network = trained(arguments.run)
    held = read_pictures(arguments.data, parts()["validation"])
    maps = [predict(network, normalise(grey(picture.image)), torch.device("cpu")) for picture in held]
    settings = tune(held, maps)
    for row in settings[:5]:
        print(json.dumps(row))
    chosen = [objects_of(named(m), settings[0]["method"], settings[0]["parameters"]) for m in maps]
    print("dark nuclei, and of them found:", json.dumps(found_by_contact(held, chosen)))
    (arguments.run / "tuned.json").write_text(json.dumps(settings, indent=1) + "\n")


if __name__ == "__main__":
    main()
