"""From maps to objects on a whole image, with scikit-image and SciPy alone: what `chunkwise objects` does in blocks.

Used to choose thresholds on the validation part, and by benchmarks/accuracy as the whole-image reference.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

__all__ = ["average_precision", "by_boundary", "by_distance", "matches", "objects_of", "without_small"]

Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
FULL = np.ones((3, 3), int)


def without_small(labels: Labels, min_size: int) -> Labels:
    """Objects of fewer than *min_size* pixels become background; the others are numbered 1..N in raster order."""
    sizes = np.bincount(labels.ravel())
    keep = sizes >= max(min_size, 1)
    keep[0] = False
    table = np.zeros(len(sizes), np.int32)
    table[keep] = np.arange(1, int(keep.sum()) + 1)
    return table[labels]


def flood(values: Floats, markers: Labels, mask: NDArray[np.bool_], min_size: int) -> Labels:
    """Watershed from the markers inside the mask, highest values first; a component without a marker is one object."""
    parts, _ = ndimage.label(mask, FULL)
    seeded = np.zeros(int(parts.max()) + 1, bool)
    seeded[parts[(markers > 0) & mask]] = True
    bare = mask & ~seeded[parts]
    markers = np.where(bare, parts + int(markers.max()), markers)
    return without_small(watershed(-values, markers, connectivity=2, mask=mask).astype(np.int32), min_size)


def by_boundary(foreground: Floats, boundary: Floats, threshold: float, seed_threshold: float, min_size: int) -> Labels:
    """Seeds are the components of foreground - boundary > seed_threshold."""
    mask = foreground > threshold
    inner = foreground - boundary
    markers, _ = ndimage.label(mask & (inner > seed_threshold), FULL)
    return flood(inner, markers, mask, min_size)


def by_distance(
    foreground: Floats,
    distance: Floats,
    threshold: float,
    seed_threshold: float,
    min_distance: int,
    min_size: int,
) -> Labels:
    """Seeds are the peaks of the distance that are above seed_threshold; peaks of one height near by are one seed."""
    mask = foreground > threshold
    heights = np.where(mask, distance, -np.inf)
    highest = ndimage.maximum_filter(heights, 2 * min_distance + 1, mode="constant", cval=-np.inf)
    peaks = mask & (distance > seed_threshold) & (heights == highest)
    near = ndimage.maximum_filter(peaks, 2 * (min_distance // 2) + 1, mode="constant", cval=0)
    markers, _ = ndimage.label(near, FULL)
    return flood(distance, markers * peaks, mask, min_size)


def objects_of(maps: dict[str, Floats], method: str, parameters: dict[str, Any]) -> Labels:
    """Objects of maps by their names, as the description of a model gives method and parameters."""
    if method == "foreground-boundary":
        return by_boundary(maps["foreground"], maps["boundary"], **parameters)
    return by_distance(maps["foreground"], maps["distance"], **parameters)


def matches(truth: Labels, found: Labels, thresholds: tuple[float, ...] = (0.5, 0.7, 0.9)) -> NDArray[np.int64]:
    """True positives, false positives and false negatives at each threshold of the intersection over union: (T, 3).

    Objects are matched one to one; above 0.5 no object overlaps two others enough, so no assignment is needed.
    """
    n, m = int(truth.max()), int(found.max())
    overlap = np.bincount((truth.astype(np.int64) * (m + 1) + found).ravel(), minlength=(n + 1) * (m + 1))
    overlap = overlap.reshape(n + 1, m + 1)
    union = overlap.sum(1, keepdims=True) + overlap.sum(0, keepdims=True) - overlap
    iou = (overlap / np.maximum(union, 1))[1:, 1:]
    true = int((overlap.sum(1)[1:] > 0).sum())
    predicted = int((overlap.sum(0)[1:] > 0).sum())
    rows = []
    for threshold in thresholds:
        # At exactly 0.5 two objects may halve a third: the larger index of each row only.
        hits = int((iou > threshold).any(1).sum()) if iou.size else 0
        rows.append((hits, predicted - hits, true - hits))
    return np.array(rows, np.int64)


def average_precision(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """TP / (TP + FP + FN); 1 where there is nothing to find and nothing was found."""
    total = counts.sum(axis=-1)
    return np.where(total == 0, 1.0, counts[..., 0] / np.maximum(total, 1))
