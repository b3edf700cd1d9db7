"""What the demo claims, worked out a second time on the whole image, with SciPy and scikit-image alone."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["Parameters", "read_table", "same_table", "split_by_blocks", "whole_image_labels"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Parameters:
    """Of the demo's segmentation."""

    sigma: float = 1.0
    threshold: str = "yen"
    min_size: int = 30


def whole_image_labels(volume: Array, parameters: Parameters) -> tuple[Array, float]:
    """Segment a whole image at once, by the calls that ``chunkwise segment`` is held to.

    Returns
    -------
    labels : ndarray
        Ids 1..n in raster order of the first pixel.
    threshold : float
    """
    from scipy import ndimage
    from skimage import filters, measure

    untyped: Any = measure

    smooth = ndimage.gaussian_filter(volume, parameters.sigma)
    threshold = getattr(filters, f"threshold_{parameters.threshold}")(smooth)
    mask = ndimage.binary_fill_holes(smooth > threshold)
    labels = np.asarray(untyped.label(mask, connectivity=volume.ndim))
    kept = np.bincount(labels.ravel()) >= parameters.min_size
    kept[0] = False
    numbers = np.zeros(len(kept), np.int64)
    ids, first = np.unique(np.where(kept[labels], labels, 0), return_index=True)
    inside = ids > 0
    numbers[ids[inside][np.argsort(first[inside])]] = np.arange(1, inside.sum() + 1)
    return numbers[labels], float(threshold)


def read_table(path: Path) -> list[dict[str, str]]:
    """Read a table with a header and tabs."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def same_table(rows: list[dict[str, str]], labels: Array, channels: dict[str, Array]) -> bool:
    """Whether a table says what scikit-image measures: sizes, boxes and extremes equal, means to 1e-9.

    Parameters
    ----------
    rows : list of dict
        As :func:`read_table` returns them.
    labels : ndarray
        Shape (y, x).
    channels : dict
        Pixels of each channel by its name, of the same shape.
    """
    from skimage import measure

    untyped: Any = measure
    regionprops_table = untyped.regionprops_table
    known = regionprops_table(labels, properties=("label", "num_pixels", "bbox"))
    close = regionprops_table(labels, properties=("centroid",))
    for channel, pixels in channels.items():
        for name, values in regionprops_table(
            labels, pixels, properties=("intensity_mean", "intensity_min", "intensity_max")
        ).items():
            (close if name == "intensity_mean" else known)[f"{name}-{channel}"] = values
    columns = {name: np.array([float(row[name]) for row in rows]) for name in (*known, *close)}
    return len(rows) == labels.max() and all(
        [np.array_equal(columns[name], values) for name, values in known.items()]
        + [np.allclose(columns[name], values, rtol=1e-9, atol=0) for name, values in close.items()]
    )


def split_by_blocks(labels: Array, block: int) -> tuple[int, int]:
    """Count the objects that lie in several blocks, and the pieces that blocks would make of all objects.

    Returns
    -------
    crossing, pieces : int
    """
    pieces = np.zeros(int(labels.max()) + 1, np.int64)
    for top in range(0, labels.shape[0], block):
        for left in range(0, labels.shape[1], block):
            pieces[np.unique(labels[top : top + block, left : left + block])] += 1
    return int((pieces[1:] > 1).sum()), int(pieces[1:].sum())
