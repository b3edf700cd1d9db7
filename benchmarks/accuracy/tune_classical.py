"""Find settings of `chunkwise segment` for nuclei, on every eighth dark training image: prints them, the best first.

.venv-train/bin/python benchmarks/accuracy/tune_classical.py ../shared/data/dsb2018_train
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import classical
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "training"))

from data import read_pictures
from decode import average_precision, matches


def main() -> None:
    """Score every setting by AP@0.5, pooled."""
    pictures = [p for p in read_pictures(Path(sys.argv[1])) if p.group.startswith("dark")][::8]
    found = []
    for sigma, threshold, distance in itertools.product((1.0, 2.0), ("otsu", "li"), (5, 7, 10, 14)):
        settings = classical.Settings(sigma, threshold, True, distance, 30)
        counts = np.sum([matches(p.labels, classical.segment(p.image, settings)) for p in pictures], axis=0)
        found.append((float(average_precision(counts)[0]), settings.command()))
    for score, command in sorted(found, reverse=True):
        print(f"{score:.3f} {command}")


if __name__ == "__main__":
    main()
