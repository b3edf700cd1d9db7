"""Equalisation by the histogram of a whole volume: what each intensity becomes, kept in a file.

Reference: ``skimage.exposure.equalize_hist(volume, nbins)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.ops.find_threshold import find_in_histograms, histogram_of_volume
from chunkwise.ops.labelling import load_small
from chunkwise.ops.row_files import rows_bytes
from chunkwise.ops.volumes import HaloedVolumes
from chunkwise.storage.writer import put_object

__all__ = ["Shares", "find_shares", "shares_of", "shares_of_volume"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Shares:
    """Intensities of a volume, and the share of its voxels that are no brighter than each."""

    kept: Any
    """Two rows, or the file of these."""
    low: int
    """Of whole numbers: the least, exactly."""
    count: int
    """How many intensities there are."""

    def equalized(self, image: Array) -> Array:
        """Give the voxels of a block as shares."""
        centers, shares = load_small(self.kept)[0] if isinstance(self.kept, str) else self.kept
        if image.dtype.kind == "f":
            floats = np.dtype(np.float32 if image.dtype == np.float32 else np.float64)
            made: Array = np.interp(image.ravel(), centers, shares.astype(floats)).reshape(image.shape).astype(floats)
            return made
        # In a preview there may be voxels that the volume's smaller copy has not.
        image = np.clip(image, self.low, self.low + self.count - 1)
        wide = image if image.dtype.kind == "u" else image.astype(np.int64)
        found: Array = shares[(wide - wide.dtype.type(self.low)).astype(np.intp)]
        return found


def shares_of(counts: Array, centers: Array) -> Array:
    """Intensities, and the share of voxels up to each."""
    sums = counts.cumsum()
    return np.stack((centers.astype(np.float64), sums / float(sums[-1])))


def shares_of_volume(volume: Array, bins: int) -> Shares:
    """The same of a volume in memory."""
    counts, centers = histogram_of_volume("equalize", bins, volume)
    return Shares(shares_of(counts, centers), 0 if volume.dtype.kind == "f" else int(centers[0]), len(counts))


def find_shares(bins: int, volumes: HaloedVolumes, job: Job) -> list[Shares]:
    """Find what intensities become, of every volume; errors as of :func:`find_in_histograms`."""

    def finish(volume: int, counts: Array, centers: Array) -> list[Any]:
        key = f"scratch/shares/{volume}.npy"
        put_object(job.run.folder, key, rows_bytes(shares_of(counts, centers)))
        return [key, int(centers[0]), len(counts)]

    found = find_in_histograms("equalize", bins, finish, volumes, job)
    return [Shares(job.run.path(key), low, count) for key, low, count in found]
