"""The whole-image references, in the literal calls of SciPy and scikit-image, and a runner beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.ndimage
import skimage.filters
import skimage.measure
import zarr

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.passes import Workers
from chunkwise.blocks.run import Plan, Run
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.ngff.layout import OutputImage, shard_of, write_documents
from chunkwise.ngff.model import Axis
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.segment import SegmentParameters, segment
from chunkwise.ops.smooth import SmoothedVolumes
from chunkwise.storage.arrays import open_array
from chunkwise.storage.location import Location

__all__ = ["Array", "blockwise_segment", "reference_segment", "write_array"]

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
    labels = skimage.measure.label(mask, connectivity=connectivity or volume.ndim)
    result = np.zeros(labels.shape, np.uint64)
    number = 0
    # np.unique with the index of the first occurrence: raster order of the first voxel.
    values, firsts, counts = np.unique(labels, return_index=True, return_counts=True)
    for _, value, count in sorted(zip(firsts, values, counts, strict=True)):
        if value and count >= min_size:
            number += 1
            result[labels == value] = number
    return result


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
) -> Array:
    """Segment ``(t, [z,] y, x)`` block by block in this process; the labels as zarr-python reads them."""
    shape = volumes.shape[1:]
    source = VolumeSource(
        array=write_array(folder / "image", volumes),
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
    parameters = SegmentParameters(threshold, foreground, connectivity or len(shape), fill_holes, min_size)
    axes = (Axis("t", "time"), *(Axis(name, "space") for name in source.axes[1:]))

    def make_output(dtype: str) -> OutputImage:
        ones = (1.0,) * volumes.ndim
        zeros = (0.0,) * volumes.ndim
        return OutputImage("labels", axes, volumes.shape, dtype, ones, zeros, True, shard)

    output = folder / "out.ome.zarr"
    run = Run.start(Plan("test", {}, {}, {}), str(folder / "run"), str(output), str(folder / "partial"))
    result = segment(smoothed, parameters, make_output, InlineExecutor(), run, Workers())
    write_documents(run.store, result.output)
    run.finish(str(output))
    open_array.cache_clear()
    labels = np.asarray(zarr.open_array(output / "0", mode="r")[...])
    assert result.counts == [int(volume.max(initial=0)) for volume in labels]
    return labels
