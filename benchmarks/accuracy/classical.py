"""Segmentation without learning: what `chunkwise segment` computes, in its literal calls on the whole image."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy import ndimage
from skimage import feature, filters, measure, segmentation

__all__ = ["DEFAULT", "TUNED", "Settings", "segment"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Settings:
    """Options of `chunkwise segment`, with its defaults and `--split distance`."""

    sigma: float = 1.0
    threshold: str = "otsu"
    fill_holes: bool = False
    split_min_distance: int = 7
    min_size: int = 0
    dark: bool = False

    def command(self) -> str:
        """The options as one types them."""
        text = f"--sigma {self.sigma:g} --threshold {self.threshold} --split distance"
        text += f" --split-min-distance {self.split_min_distance} --min-size {self.min_size}"
        return text + " --fill-holes" * self.fill_holes

    def for_polarity(self, dark: bool) -> Settings:
        """The same with `--foreground dark`, for objects that are darker than what is around them."""
        return replace(self, dark=dark)


DEFAULT = Settings()
TUNED = Settings(1.0, "otsu", True, 7, 30)
"""The best of tune_classical.py."""


def mask_of(image: Array, settings: Settings) -> Array:
    """Smooth, take a threshold, fill."""
    smooth = ndimage.gaussian_filter(image, settings.sigma)
    threshold = getattr(filters, f"threshold_{settings.threshold}")(smooth)
    mask = smooth <= threshold if settings.dark else smooth > threshold
    return np.asarray(ndimage.binary_fill_holes(mask) if settings.fill_holes else mask)


def split(mask: Array, min_distance: int, min_size: int, spacing: tuple[float, ...] | None = None) -> Array:
    """Part every component at its waists, each alone in its box; parts of fewer pixels than min_size are dropped."""
    components = measure.label(mask, connectivity=mask.ndim)
    result = np.zeros(mask.shape, np.int32)
    count = 0
    for number, box in enumerate(ndimage.find_objects(components), start=1):
        wide = tuple(slice(max(s.start - 1, 0), min(s.stop + 1, n)) for s, n in zip(box, mask.shape, strict=True))
        alone = components[wide] == number
        distance = ndimage.distance_transform_edt(alone, sampling=spacing)
        peaks = feature.peak_local_max(
            distance, min_distance=min_distance, labels=alone.astype(int), exclude_border=False
        )
        markers = np.zeros(alone.shape, np.int32)
        peaks = peaks[np.lexsort(peaks.T[::-1])]
        markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
        parts = segmentation.watershed(_ranks(distance, markers), markers, connectivity=mask.ndim, mask=alone)
        sizes = np.bincount(parts.ravel(), minlength=len(peaks) + 1)
        for part in np.flatnonzero(sizes[1:] >= max(min_size, 1)) + 1:
            count += 1
            result[wide][parts == part] = count
    return result


def _ranks(distance: Array, markers: Array) -> Array:
    """Farthest from the edge first; of one distance, markers first in raster order, then the others as one."""
    raster = np.arange(distance.size).reshape(distance.shape)
    key = np.where(markers > 0, raster, distance.size)
    order = np.lexsort((key.ravel(), -distance.ravel()))
    pairs = np.column_stack([distance.ravel()[order], key.ravel()[order]])
    new = np.ones(len(order), bool)
    new[1:] = (pairs[1:] != pairs[:-1]).any(1)
    ranks = np.empty(len(order), np.int32)
    ranks[order] = np.cumsum(new)
    return ranks.reshape(distance.shape)


def segment(image: Array, settings: Settings, spacing: tuple[float, ...] | None = None) -> Array:
    """Labels of a grey image; spacing is that of a voxel, the smallest edge being 1."""
    return split(mask_of(image, settings), settings.split_min_distance, settings.min_size, spacing)
