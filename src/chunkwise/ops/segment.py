"""Segmentation: smooth, threshold, fill holes, label, drop small objects, number; as a chain of passes.

Reference, on the whole volume::

    smooth = scipy.ndimage.gaussian_filter(volume, sigma)
    mask   = smooth > threshold                      (dark: <=)
    mask   = scipy.ndimage.binary_fill_holes(mask)   (if asked)
    labels = skimage.measure.label(mask, connectivity=connectivity)
    labels = each component split into parts         (if asked; chunkwise.ops.split)
    objects of fewer than min_size voxels dropped, ids 1..n by first voxel in raster order

Between passes a voxel is one bit: the mask. Labelling a block again costs less than writing and
reading its provisional labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.ngff.layout import OutputImage
from chunkwise.ops.find_threshold import find_thresholds
from chunkwise.ops.labelling import Labelling
from chunkwise.ops.smooth import SmoothedVolumes
from chunkwise.ops.split_passes import SplitParameters
from chunkwise.ops.write_labels import LabelResult, write_labels

__all__ = ["SegmentParameters", "SegmentResult", "memory_of", "segment"]


@dataclass(frozen=True)
class SegmentParameters:
    """The options that decide the result."""

    threshold: str | float
    """Name of a method, or a number."""
    foreground: str
    """``bright`` or ``dark``."""
    connectivity: int
    fill_holes: bool
    min_size: int
    split: SplitParameters | None = None


@dataclass(frozen=True)
class SegmentResult(LabelResult):
    """What came out."""

    thresholds: list[Any] = field(default_factory=list)
    """One a volume."""


def memory_of(volumes: SmoothedVolumes, threads: int = 1) -> int:
    """Project what a worker needs, in bytes, components being split aside.

    While a block is labelled: its voxels with their halo, its mask, and its labels twice (the labeller's own and their
    copy). While a unit is written: mask and labels of a block, and the unit.
    """
    grid, reach = volumes.grid, volumes.reach
    outer = 2 * np.dtype(volumes.source.dtype).itemsize
    labelling = projected_memory(grid, outer=outer, reach=reach, block=1 + 4 + 4, threads=threads)
    return max(labelling, projected_memory(grid, block=1 + 4 + 4, unit=2 * 4, threads=threads))


def segment(
    volumes: SmoothedVolumes, parameters: SegmentParameters, make_output: Callable[[str], OutputImage], job: Job
) -> SegmentResult:
    """Segment every volume of a cut into the run's store.

    Parameters
    ----------
    volumes : SmoothedVolumes
        What to segment.
    parameters : SegmentParameters
        How.
    make_output : callable
        ``make_output(dtype) -> OutputImage``; the dtype is known only when the objects are counted.
    job : Job
        Where the work is done, and what is done already.

    Raises
    ------
    InputError
        If no threshold is found, or voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    volumes = volumes.with_rims(job)
    if isinstance(parameters.threshold, str):
        thresholds = find_thresholds(parameters.threshold, volumes, job)
    else:
        thresholds = [parameters.threshold] * volumes.source.volumes
    dark = parameters.foreground == "dark"
    labelling = Labelling(volumes, thresholds, dark, parameters.connectivity, job)
    if parameters.fill_holes:
        labelling.find_holes()
    made = write_labels(labelling, parameters.min_size, parameters.split, make_output)
    return SegmentResult(**vars(made), thresholds=thresholds)
