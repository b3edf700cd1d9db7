"""Size, place, second moments and intensities of every object: chunkwise and scikit-image's regionprops_table.

    .venv/bin/python benchmarks/measure.py --size 0.25

Both measure the labels that chunkwise makes of the volume first. What both measure is compared, column by column.
"""

from __future__ import annotations

import csv
import subprocess
from math import isclose, prod
from pathlib import Path

import harness
from harness import Candidate

BASIC = ("num_pixels", "centroid", "bbox", "equivalent_diameter_area")
INERTIA = ("inertia_tensor", "inertia_tensor_eigvals", "axis_major_length", "axis_minor_length")
INTENSITY = ("intensity_mean", "intensity_min", "intensity_max", "intensity_std")


def main() -> None:
    args = harness.parser(__doc__).parse_args()
    from chunkwise.ops import measure as module

    known = {*module.PROPERTIES, *module.INTENSITIES}
    properties = [name for name in (*BASIC, *INERTIA, *INTENSITY) if name in known]
    shape = harness.volume_shape(args.size)
    image = harness.volume(shape)
    labels = harness.labels_of(image, args.workers)
    harness.warm(image)
    harness.warm(labels)
    out, theirs = harness.scratch("objects.tsv"), harness.scratch("objects-skimage.tsv")
    options = ["--properties", *properties, "--workers", str(args.workers)]
    left_out = sorted({*BASIC, *INERTIA, *INTENSITY} - known)
    candidates = [
        Candidate(
            "chunkwise",
            [harness.CHUNKWISE, "measure", "--labels", labels, "--image", image, "--output", out, *options],
            harness.fresh(out),
            lambda: {"rows": _rows(out)},
            f"does not know {', '.join(left_out)}, so neither measures them" if left_out else "",
            True,
        ),
        Candidate(
            "scikit-image",
            harness.peer("measure_peers.py", labels, image, theirs, ",".join(["label", *properties])),
            harness.fresh(theirs),
            note="in memory",
        ),
    ]
    harness.run("measure", candidates, args, prod(shape), f"{Path(image).name}: {', '.join(properties)}")
    if not args.only:
        for candidate in candidates:
            subprocess.run(candidate.command, check=True, capture_output=True)
        compare(out, theirs)


def _rows(path: str) -> int:
    with open(path, encoding="utf-8") as file:
        return sum(1 for _ in file) - 1


def compare(path: str, other: str) -> None:
    """Say how far two tables are apart in the columns that they share."""
    tables = []
    for name in (path, other):
        with open(name, encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file, delimiter="\t")))
    mine, theirs = tables
    print(f"  rows: {len(mine)} and {len(theirs)}")
    names = {name: name for name in theirs[0] if name in mine[0]}
    # Columns of intensities end in the channel's name.
    names |= {
        name: m for name in theirs[0] for m in mine[0] if name.startswith("intensity") and m.startswith(f"{name}-")
    }
    same, near, far = [], [], []
    for name, own in names.items():
        pairs = [(float(a[own]), float(b[name])) for a, b in zip(mine, theirs, strict=True)]
        if all(a == b for a, b in pairs):
            same.append(name)
        elif all(isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in pairs):
            near.append(name)
        else:
            far.append(name)
    print(
        f"  equal: {', '.join(same)}\n  within 1e-9: {', '.join(near) or '-'}\n  further apart: {', '.join(far) or '-'}"
    )
    print(f"  only scikit-image: {', '.join(name for name in theirs[0] if name not in names) or '-'}")


if __name__ == "__main__":
    main()
