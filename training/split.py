"""Hold out a part of the training images by experiment-like groups: training/split.csv.

The data set holds near-duplicate crops of the same experiments. Images of a group (type and size) are clustered by
what tells experiments apart (background, contrast, noise, size and density of nuclei), and whole clusters are held
out, so that the validation part is harder than a random one. Run once; the file is committed.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from data import Picture, grey, read_pictures

SHARE = 0.13


def features(picture: Picture) -> list[float]:
    """Numbers that images of one experiment share."""
    image = grey(picture.image)
    inside = picture.labels > 0
    noise = np.median(np.abs(np.diff(image, axis=1)))
    low, middle, high = np.percentile(image, (1, 50, 99))
    signal = np.median(image[inside]) - np.median(image[~inside]) if inside.any() and not inside.all() else 0.0
    return [np.log1p(low), np.log1p(middle), np.log1p(high), signal / 64, np.log1p(noise), np.log(picture.diameter) * 2]


def main(folder: Path, target: Path) -> None:
    """Write name, group, cluster and part (train or validation) of every image."""
    pictures = read_pictures(folder)
    rng = np.random.default_rng(0)
    rows = []
    for group in sorted({p.group for p in pictures}):
        members = [p for p in pictures if p.group == group]
        clusters = np.ones(len(members), int)
        held: set[int] = set()
        if len(members) >= 6:
            table = np.array([features(p) for p in members])
            clusters = fcluster(linkage(table, "ward"), t=max(4, len(members) // 7), criterion="maxclust")
            for cluster in rng.permutation(np.unique(clusters)):
                size = int((clusters == cluster).sum())
                taken = sum(int((clusters == c).sum()) for c in held)
                if taken + size <= SHARE * len(members) + 1:
                    held.add(int(cluster))
        rows += [
            (p.name, group, int(c), "validation" if int(c) in held else "train")
            for p, c in zip(members, clusters, strict=True)
        ]
    with target.open("w", newline="") as lines:
        csv.writer(lines, lineterminator="\n").writerows([("name", "group", "cluster", "part"), *sorted(rows)])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "split.csv")
