"""Several thresholds of a whole volume at once, from its histogram.

Reference: ``skimage.filters.threshold_multiotsu(volume, classes)``. Algorithm: Liao, Chen and Chung, "A fast algorithm
for multilevel thresholding", Journal of Information Science and Engineering 17(5), 2001.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.errors import InputError
from chunkwise.ops.find_threshold import BINS, find_in_histograms, histogram_of_volume
from chunkwise.ops.volumes import HaloedVolumes

__all__ = ["LONGEST", "STEPS", "classes_of", "classes_of_volume", "find_classes"]

Array = np.ndarray[Any, Any]

#: Intensities between the least and the largest: scikit-image keeps a table of their pairs, here of 1 GiB at most.
LONGEST = 2**14
#: Combinations of thresholds that are tried, in about half a minute.
STEPS = 5 * 10**9


def classes_of(counts: Array, centers: Array, classes: int) -> list[Any]:
    """Find the thresholds between classes, in scikit-image's own steps.

    Parameters
    ----------
    counts, centers : ndarray
        Of a histogram whose first and last bin are not empty.
    classes : int
        One more than there are thresholds.

    Raises
    ------
    InputError
        If there are fewer intensities than classes, or too many to try.
    """
    from skimage import filters

    threshold_multiotsu: Any = filters.threshold_multiotsu

    different = np.count_nonzero(counts)
    if different < classes:
        raise InputError(
            f"'multi-otsu' cannot make {classes} classes of a volume that has only {different} different "
            f"{'intensity' if different == 1 else 'intensities'}; ask for fewer."
        )
    if len(counts) > LONGEST or comb(len(counts), classes - 1) > STEPS:
        raise InputError(
            f"'multi-otsu' tries all thresholds: too many for {classes} classes of {len(counts)} intensities; "
            "ask for fewer, or bring the image to 8 bits with 'chunkwise intensity --method rescale' first."
        )
    found: Any = threshold_multiotsu(hist=(counts / np.sum(counts), centers), classes=classes)
    return [one.item() for one in found]


def classes_of_volume(volume: Array, classes: int) -> list[Any]:
    """The same of a volume in memory."""
    return classes_of(*histogram_of_volume("multi-otsu", BINS, volume), classes)


def find_classes(classes: int, volumes: HaloedVolumes, job: Job) -> list[list[Any]]:
    """Find the thresholds of every volume; errors as of :func:`classes_of` and of :func:`find_in_histograms`."""

    def finish(_: int, counts: Array, centers: Array) -> list[Any]:
        return classes_of(counts, centers, classes)

    return find_in_histograms("multi-otsu", BINS, finish, volumes, job)
