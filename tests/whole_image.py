"""The whole-image references, in the literal calls of SciPy and scikit-image, and a runner beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import skimage.feature
import skimage.filters
import skimage.measure
import skimage.segmentation
import zarr

from begun import begun
from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Executor, Job
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.ngff.layout import OutputImage, shard_of, write_documents
from chunkwise.ngff.model import Axis
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.segment import SegmentParameters, SegmentResult, segment
from chunkwise.ops.smooth import SmoothedVolumes
from chunkwise.ops.split_passes import SplitParameters
from chunkwise.storage.location import Location

__all__ = [
    "Array",
    "blockwise_segment",
    "reference_number",
    "reference_segment",
    "reference_split",
    "reference_split_one",
    "write_array",
]

Array = np.ndarray[Any, Any]


def reference_segment(
    volume: Array,
    sigma: float = 1,
    threshold: str | float = "otsu",
    foreground: str = "bright",
    connectivity: int | None = None,
    fill_holes: bool = False,
    min_size: int = 0,
) -> Array:
    """Segment a whole volume with SciPy and scikit-image, as the documentation of ``segment`` says."""
    smooth = scipy.ndimage.gaussian_filter(volume, sigma) if sigma else volume
    if isinstance(threshold, str):
        # A flat view, because a thin volume is taken for an RGB image, with a warning.
        threshold = getattr(skimage.filters, f"threshold_{threshold}")(smooth.reshape(1, -1))
    mask = smooth <= threshold if foreground == "dark" else smooth > threshold
    if fill_holes:
        mask = scipy.ndimage.binary_fill_holes(mask)
    return reference_number(skimage.measure.label(mask, connectivity=connectivity or volume.ndim), min_size)


def reference_number(labels: Array, min_size: int = 0) -> Array:
    """Drop small objects and number the others by their first voxel."""
    result = np.zeros(labels.shape, np.uint64)
    number = 0
    # np.unique with the index of the first occurrence: raster order of the first voxel.
    values, firsts, counts = np.unique(labels, return_index=True, return_counts=True)
    table = np.zeros(len(values), np.uint64)
    for _, index in sorted(zip(firsts, range(len(values)), strict=True)):
        if values[index] and counts[index] >= min_size:
            number += 1
            table[index] = number
    result[...] = table[np.searchsorted(values, labels)]
    return result


def reference_split(
    labels: Array, scale: tuple[float, ...], min_distance: int, connectivity: int, min_size: int = 0
) -> Array:
    """Split every component of a labelled volume with SciPy and scikit-image, as ``chunkwise.ops.split`` says."""
    result = np.zeros(labels.shape, np.int64)
    for value, place in enumerate(scipy.ndimage.find_objects(labels.astype(np.int64)), start=1):
        if place is None:
            continue
        box = tuple(slice(max(0, p.start - 1), min(p.stop + 1, n)) for p, n in zip(place, labels.shape, strict=True))
        mask = labels[box] == value
        parts = reference_split_one(mask, scale, min_distance, connectivity)
        result[box][mask] = parts[mask] + result.max()
    return reference_number(result, min_size)


def reference_split_one(mask: Array, scale: tuple[float, ...], min_distance: int, connectivity: int) -> Array:
    """Split one component, alone in a box or in the whole volume."""
    if mask.all():
        return np.ones(mask.shape, np.int64)
    distance = scipy.ndimage.distance_transform_edt(mask, sampling=np.array(scale) / min(scale))
    peaks = skimage.feature.peak_local_max(
        distance, min_distance=min_distance, labels=mask.astype(int), exclude_border=False
    )
    markers = np.zeros(mask.shape, np.int64)
    markers[tuple(peaks.T)] = 1
    seeds = np.flatnonzero(markers)
    markers.flat[seeds] = np.arange(1, len(seeds) + 1)
    # Of voxels of one distance the markers come first, in raster order.
    order = np.where(markers > 0, markers, len(seeds) + 1)
    ranks = np.unique(-distance, return_inverse=True)[1].reshape(mask.shape) * (len(seeds) + 2) + order
    return np.asarray(skimage.segmentation.watershed(ranks, markers, connectivity=connectivity, mask=mask))


def write_array(path: Path, data: Array, chunks: tuple[int, ...] | None = None) -> Location:
    """Write a plain Zarr array with zarr-python."""
    array = zarr.create_array(path, shape=data.shape, dtype=data.dtype, chunks=chunks or data.shape, zarr_format=3)
    array[...] = data
    return Location(str(path))


def blockwise_segment(
    folder: Path,
    volumes: Array,
    block: tuple[int, ...],
    shard: tuple[int, ...] | None = None,
    sigma: float = 1,
    threshold: str | float = "otsu",
    foreground: str = "bright",
    connectivity: int | None = None,
    fill_holes: bool = False,
    min_size: int = 0,
    split: SplitParameters | None = None,
    memory: int = 2**30,
    results: list[SegmentResult] | None = None,
    executor: Executor | None = None,
) -> Array:
    """Segment ``(t, [z,] y, x)`` block by block in this process; the labels as zarr-python reads them."""
    shape = volumes.shape[1:]
    source = VolumeSource(
        # Chunks as large as blocks: halos would cost whole chunks, so that rims are used where they can be.
        array=write_array(folder / "image", volumes, (1, *(min(b, n) for b, n in zip(block, shape, strict=True)))),
        axes="t" + "zyx"[-len(shape) :],
        channel=0,
        origin=(0,) * len(shape),
        shape=shape,
        first_time=0,
        volumes=len(volumes),
        dtype=volumes.dtype.name,
    )
    _, shards = shard_of(shape, shard)
    smoothed = SmoothedVolumes(source, Grid.fit(shape, shards, block), sigma)
    parameters = SegmentParameters(threshold, foreground, connectivity or len(shape), fill_holes, min_size, split)
    axes = (Axis("t", "time"), *(Axis(name, "space") for name in source.axes[1:]))

    def make_output(dtype: str) -> OutputImage:
        ones = (1.0,) * volumes.ndim
        zeros = (0.0,) * volumes.ndim
        return OutputImage("labels", axes, volumes.shape, dtype, ones, zeros, True, shard)

    output = folder / "out.ome.zarr"
    run = begun(folder, output=output)
    result = segment(smoothed, parameters, make_output, Job(executor or InlineExecutor(), run, memory=memory))
    if results is not None:
        results.append(result)
    write_documents(run.store, result.output)
    run.finish(str(output))
    labels = np.asarray(zarr.open_array(output / "0", mode="r")[...])
    assert result.counts == [int(volume.max(initial=0)) for volume in labels]
    return labels
