"""From a request to objects by smoothing, threshold and connected components."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from chunkwise.blocks.grid import Grid
from chunkwise.errors import InputError
from chunkwise.ngff.units import conversion
from chunkwise.ngff.volumes import Selection, select
from chunkwise.ops import split_passes
from chunkwise.ops.gaussian import radius
from chunkwise.ops.segment import SegmentParameters, memory_of, segment
from chunkwise.ops.smooth import SmoothedVolumes
from chunkwise.ops.split import relative_spacing
from chunkwise.ops.split_passes import SplitParameters
from chunkwise.ops.threshold import threshold_of_volume
from chunkwise.reference import OpenedInput
from chunkwise.running.coarse import Coarse
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.labels import check_connectivity, counted, followed, report_unsplit
from chunkwise.running.life import check_files
from chunkwise.running.request import Around, Request, Result
from chunkwise.running.sizes import in_voxels
from chunkwise.running.stores import StoreRun

__all__ = ["around", "run", "selected", "settle", "spacing_of"]


def run(request: Request) -> Result:
    """Segment an image; see :func:`chunkwise.running.run.run`."""
    values = request.values
    opened = request.open("image")
    selection = selected(request, opened)
    sizes = in_voxels(request, selection)
    values = sizes.values
    source, sigma = selection.source.as_numbers, values["sigma"]
    connectivity = check_connectivity(values["connectivity"], len(source.shape))
    _check_voxels(request.values, selection)
    # Of a mask there is nothing to find: what is true is foreground.
    is_mask = selection.source.dtype == "bool"
    threshold = 0 if is_mask and isinstance(values["threshold"], str) else values["threshold"]
    split = SplitParameters(spacing_of(selection), values["split_min_distance"]) if values["split"] else None
    check_files(request)

    def projected(grid: Grid, threads: int = 1) -> int:
        splitting = split_passes.memory_of(grid) if split else 0
        return max(memory_of(SmoothedVolumes(source, grid, sigma), threads), splitting)

    # Components that are parted may take all of a worker's memory, one at a time.
    grid, resources = fit_blocks(request, selection, projected, threads=split is None)
    parameters = SegmentParameters(
        threshold, values["foreground"], connectivity, values["fill_holes"], values["min_size"], split
    )
    recorded = request.recorded(connectivity=connectivity, threshold=threshold)
    work = StoreRun(request, opened, selection, grid, recorded, sources=(selection.source,))
    volumes = SmoothedVolumes(source, grid, sigma)
    with work.working(resources, volumes.n_blocks) as job:
        result = segment(volumes, parameters, work.label_image, job)
        work.complete(result.output)
    if sizes.found:
        work.recorder.result("sizes_in_voxels", sizes.found)
    thresholds = [value.item() if hasattr(value, "item") else value for value in result.thresholds]
    work.recorder.result("thresholds", thresholds)
    work.recorder.result("objects", result.counts)
    if split:
        report_unsplit(work, result, source.first_time, opened.image.spatial)
    lines = [f"{counted(sum(result.counts))} in {work.location.address}"]
    for time, (value, count) in enumerate(zip(thresholds, result.counts, strict=True)):
        where = f"time point {source.first_time + time}: " if source.volumes > 1 else ""
        lines.append(f"  {where}threshold {value:g}, {counted(count)}")
    return work.finish(result.output, [*lines, *sizes.lines])


def selected(request: Request, opened: OpenedInput) -> Selection:
    """What of the image is read."""
    values = request.values
    return select(opened.image, values["level"], values["channel"], values["time"], values["region"])


def around(request: Request, selection: Selection) -> Around:
    """What a preview reads around the part that it shows: objects are followed for some voxels beyond smoothing."""
    sigma, ndim = in_voxels(request, selection).values["sigma"], len(selection.source.shape)
    return followed([radius(one) for one in (sigma if isinstance(sigma, tuple) else (sigma,) * ndim)])


def settle(request: Request, selection: Selection, look: Callable[[], Coarse]) -> tuple[Request, list[str]]:
    """Fix the threshold; gives also where it comes from."""
    _check_voxels(request.values, selection)
    method = request.values["threshold"]
    if not isinstance(method, str) or selection.source.dtype == "bool":
        return request, []
    coarse = look()
    sigma = np.divide(in_voxels(request, selection).values["sigma"], coarse.factors)
    smooth = gaussian_filter(coarse.voxels, sigma)
    value = threshold_of_volume(method, smooth).item()
    return replace(request, values={**request.values, "threshold": value}), [coarse.words(f"Threshold {value:g}")]


def _check_voxels(values: Mapping[str, Any], selection: Selection) -> None:
    """Refuse what makes no sense before anything is written."""
    name, dtype = os.path.basename(selection.image.location.address), np.dtype(selection.source.dtype)
    if dtype.kind == "b" and values["sigma"] > 0:
        raise InputError(
            f"{name} is a mask (bool voxels), which is labelled as it is, without smoothing; give --sigma 0."
        )
    if dtype == np.float16:
        raise InputError(
            f"{name} holds float16 voxels, which segment does not take: write the image as float32, or use "
            "'chunkwise objects' for the maps of a model."
        )


def spacing_of(selection: Selection) -> tuple[float, ...]:
    """Take the edges of a voxel for distances inside objects, as ratios.

    Raises
    ------
    InputError
        If its axes are in units that do not compare.
    """
    units = [axis.unit or "" for axis in selection.spatial_axes]
    factors = [conversion(unit, units[-1]) for unit in units]
    if None in factors:
        named = ", ".join(f"{axis.name} in {axis.unit or 'no unit'}" for axis in selection.spatial_axes)
        raise InputError(
            f"{selection.image.location.address} measures its axes in different units ({named}), from which splitting "
            "cannot tell the shape of a voxel."
        )
    return relative_spacing(tuple(s * (f or 1.0) for s, f in zip(selection.spatial_scale, factors, strict=True)))
