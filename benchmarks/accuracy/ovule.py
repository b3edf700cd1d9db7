"""Cells of plant tissue in 3-D, from the stain of their walls: two classical baselines, tuned on the other crop."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import classical
import h5py
import numpy as np
from scipy import ndimage
from skimage import feature, filters, metrics, segmentation

__all__ = ["measure_ovule"]

Array = np.ndarray[Any, Any]
CROPS = ("sample_ovule", "1135_mini")


@dataclass(frozen=True)
class Crop:
    """An image of walls, the cells, and the edge lengths of a voxel relative to the smallest."""

    raw: Array
    cells: Array
    spacing: tuple[float, ...]


def read(folder: Path, name: str) -> Crop:
    """One file of the data set."""
    with h5py.File(folder / f"{name}.h5") as file:
        size = file["raw"].attrs["element_size_um"]
        return Crop(file["raw"][:], file["label"][:].astype(np.int32), tuple(float(v) for v in size / size.min()))


def inside(crop: Crop, sigma: float, distance: int) -> Array:
    """As `chunkwise segment --foreground dark --split distance --fill-holes --min-size 500`; walls are unlabelled."""
    settings = classical.Settings(sigma, "otsu", True, distance, 500, True)
    return classical.segment(crop.raw, settings, crop.spacing)


def flooded(crop: Crop, sigma: float, distance: int) -> Array:
    """Seeds far from the walls, found by a threshold around each voxel; then a watershed of the smoothed walls."""
    smooth = ndimage.gaussian_filter(crop.raw.astype(float), [sigma / s for s in crop.spacing])
    block = [int(2 * (20 / s // 2) + 1) for s in crop.spacing]
    walls = smooth > np.maximum(filters.threshold_local(smooth, block, offset=0), np.percentile(smooth, 20))
    far = ndimage.gaussian_filter(ndimage.distance_transform_edt(~walls, sampling=crop.spacing), 1)
    peaks = feature.peak_local_max(far, min_distance=distance, exclude_border=False, threshold_abs=2)
    markers = np.zeros(far.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return segmentation.watershed(smooth, markers)


METHODS: dict[str, Callable[[Crop, float, int], Array]] = {
    "chunkwise segment, dark, split": inside,
    "watershed of the walls": flooded,
}


def settings() -> Iterator[tuple[float, int]]:
    """Smoothing and distance of seeds."""
    return itertools.product((1.0, 2.0), (5, 9, 13))


def scores(crop: Crop, found: Array) -> dict[str, float]:
    """Adapted Rand error; variation of information, split and merged; voxels that are no cell in the truth left out."""
    error, precision, recall = metrics.adapted_rand_error(crop.cells, found)
    split, merged = metrics.variation_of_information(crop.cells, found, ignore_labels=(0,))
    values = {"rand_error": error, "precision": precision, "recall": recall, "split": split, "merged": merged}
    return {name: round(float(value), 3) for name, value in values.items()}


def measure_ovule(folder: Path) -> list[dict[str, Any]]:
    """One row for every crop and method."""
    crops = {name: read(folder, name) for name in CROPS}
    rows = []
    for method, run in METHODS.items():
        made = {(name, s): scores(crop, run(crop, *s)) for name, crop in crops.items() for s in settings()}
        for name, other in (CROPS, CROPS[::-1]):
            best = min(settings(), key=lambda s: made[other, s]["rand_error"])
            cells = len(np.unique(crops[name].cells[crops[name].cells > 0]))
            rows.append({"crop": name, "cells": cells, "method": method, "settings": best, **made[name, best]})
            print(rows[-1], flush=True)
    return rows
