"""Find objects: smooth the image, take a threshold, and label what is connected.

The image is read where it lies, block by block, and the result is the same as on the whole image,
voxel for voxel: objects that cross the borders of blocks are one object, and the threshold is that
of the whole volume. Every time point is a volume of its own, with its own threshold and its objects
numbered from 1. The result is a label image (OME-Zarr 0.5): 0 is background, n is object n.

  chunkwise segment nuclei.ome.zarr --output labels.ome.zarr --channel DAPI --fill-holes --min-size 50

A run that was stopped goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
import os
from math import isfinite, prod
from typing import Any

from chunkwise.commands.options import add_image, add_resources, add_selection, add_store_output, parameters_of
from chunkwise.commands.outputs import Output
from chunkwise.errors import InputError

__all__ = ["add_arguments", "run"]

METHODS = ("otsu", "li", "triangle", "yen", "isodata", "mean")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    add_image(parser)
    add_selection(parser)
    group = parser.add_argument_group("what an object is")
    group.add_argument(
        "--sigma", type=float, default=1.0, metavar="S", help="smoothing, in voxels; 0 for none (default: 1)"
    )
    group.add_argument(
        "--threshold",
        type=_threshold,
        default="otsu",
        metavar="|".join(METHODS) + "|NUMBER",
        help="how the threshold is found, from the whole smoothed volume; or its value (default: otsu)",
    )
    group.add_argument(
        "--foreground",
        choices=("bright", "dark"),
        default="bright",
        help="objects are brighter than the threshold, or not brighter (default: bright)",
    )
    group.add_argument(
        "--connectivity",
        type=int,
        metavar="N",
        help="along how many axes at once a step may go inside one object: 1 joins voxels that share a face, "
        "the number of axes also those that share a corner (default: the number of axes)",
    )
    group.add_argument("--fill-holes", action="store_true", help="fill holes that are enclosed on every side")
    group.add_argument(
        "--min-size",
        type=int,
        default=0,
        metavar="N",
        help="drop objects of fewer than N voxels, after splitting where that is asked for (default: keep all)",
    )
    group.add_argument(
        "--split",
        choices=("distance",),
        help="cut objects that touch apart: distance parts them at their waists, by a watershed from the places "
        "that lie deepest inside, with the voxels' physical size respected (default: leave them together)",
    )
    group.add_argument(
        "--split-min-distance",
        type=int,
        default=7,
        metavar="N",
        help="voxels that the middles of two parts lie apart, at least; a larger number gives fewer parts (default: 7)",
    )
    result = add_store_output(parser, "label image")
    result.add_argument(
        "--overlay", type=Output, metavar="OVERLAY.png", help="write a picture of the image with the outlines on it"
    )
    add_resources(parser)


def _threshold(text: str) -> str | float:
    if text in METHODS:
        return text
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number nor one of {', '.join(METHODS)}") from None
    if not isfinite(value):
        raise argparse.ArgumentTypeError(f"the threshold has to be a finite number, which '{text}' is not")
    return int(value) if value.is_integer() else value


def run(args: argparse.Namespace) -> int:
    """Segment an image; see the module's text."""
    from chunkwise.blocks.grid import Grid
    from chunkwise.blocks.passes import Workers
    from chunkwise.cluster.resources import find_resources, fit_grid, with_threads
    from chunkwise.cluster.start import open_executor
    from chunkwise.commands.labels import report_unsplit
    from chunkwise.commands.stores import StoreWriter, check_block, check_chunks, check_small_outputs, decoding_memory
    from chunkwise.ngff.layout import shard_of
    from chunkwise.ngff.volumes import select
    from chunkwise.ops import split_passes
    from chunkwise.ops.segment import SegmentParameters, projected_memory, segment
    from chunkwise.ops.smooth import SmoothedVolumes
    from chunkwise.ops.split_passes import SplitParameters
    from chunkwise.reference import open_image_input
    from chunkwise.site import load_site

    site = load_site()
    opened = open_image_input(args.image, site)
    selection = select(opened.image, args.level, args.channel, args.time, args.region)
    source = selection.source.as_numbers
    connectivity = _check_parameters(args, selection)
    # Of a mask there is nothing to find: what is true is foreground.
    threshold = 0 if selection.source.dtype == "bool" and args.threshold in METHODS else args.threshold
    spacing = _spacing(selection) if args.split else ()
    check_small_outputs(args, "reference", "crate", "record", "overlay")
    _, shard = shard_of(source.shape, args.shard)
    check_block(args.block, opened.image.spatial)
    # Components that are parted may take all of a worker's memory, one at a time.
    threads = not args.split
    resources = find_resources(args.workers, args.memory, prod(source.shape) * source.volumes, site, threads=threads)
    check_chunks(selection, resources)
    grid = fit_grid(
        lambda grid: max(
            projected_memory(SmoothedVolumes(source, grid, args.sigma)),
            split_passes.projected_memory(grid) if args.split else 0,
        ),
        Grid.fit(source.shape, shard, args.block or shard),
        shard,
        resources,
        fixed=args.block is not None,
    )
    split = SplitParameters(spacing, args.split_min_distance) if args.split else None
    parameters = SegmentParameters(threshold, args.foreground, connectivity, args.fill_holes, args.min_size, split)

    recorded = parameters_of(args) | {
        "connectivity": connectivity,
        "threshold": threshold,
        "block": list(grid.block),
        "shard": list(shard),
    }
    size = 4 * prod(source.shape) * source.volumes
    writer = StoreWriter("segment", args, site, opened, selection, recorded, grid, "labels", size, labels=True)
    workers = Workers()
    volumes = SmoothedVolumes(source, grid, args.sigma)
    resources = with_threads(
        lambda count: max(projected_memory(volumes, count), count * decoding_memory(selection)), resources
    )
    with (
        writer.writing(workers) as under_way,
        open_executor(resources, volumes.n_blocks, under_way.folder, workers) as executor,
    ):
        result = segment(
            volumes, parameters, writer.label_image, executor, under_way, workers, resources.memory_per_worker
        )
        writer.complete(result.output)
    writer.recorder.result("thresholds", [_plain(value) for value in result.thresholds])
    writer.recorder.result("objects", result.counts)
    if args.split:
        report_unsplit(writer, result, source.first_time, opened.image.spatial)
    writer.overlay(result.output)
    writer.report(result.output, workers)
    total = sum(result.counts)
    print(f"{total} object{'s' if total != 1 else ''} in {writer.location.address}")
    for time, (threshold, count) in enumerate(zip(result.thresholds, result.counts, strict=True)):
        where = f"time point {source.first_time + time}: " if source.volumes > 1 else ""
        print(f"  {where}threshold {_plain(threshold):g}, {count} objects")
    return 0


def _check_parameters(args: argparse.Namespace, selection: Any) -> int:
    """Refuse what makes no sense before anything is written; gives the connectivity."""
    import numpy as np

    ndim = len(selection.source.shape)
    connectivity = ndim if args.connectivity is None else args.connectivity
    if not 1 <= connectivity <= ndim:
        raise InputError(f"--connectivity {connectivity} has to lie between 1 and {ndim}, the number of axes.")
    if not 0 <= args.sigma < 1e4:
        raise InputError(f"--sigma {args.sigma} has to be at least 0 voxels (no smoothing) and below 10000.")
    if not 0 <= args.min_size < 2**63:
        raise InputError(f"--min-size {args.min_size} has to be 0 or more voxels, and fewer than 2^63.")
    if args.split_min_distance < 1:
        raise InputError(f"--split-min-distance {args.split_min_distance} has to be 1 or more voxels.")
    name, dtype = os.path.basename(selection.image.location.address), np.dtype(selection.source.dtype)
    if dtype.kind == "b" and args.sigma > 0:
        raise InputError(
            f"{name} is a mask (bool voxels), which is labelled as it is and not smoothed; give --sigma 0."
        )
    if dtype == np.float16:
        raise InputError(
            f"{name} holds float16 voxels, which segment does not take: write the image as float32; of the maps of a "
            "model, 'chunkwise objects' makes objects."
        )
    return connectivity


def _spacing(selection: Any) -> tuple[float, ...]:
    """Take the edges of a voxel for distances inside objects, as ratios."""
    from chunkwise.ngff.units import conversion
    from chunkwise.ops.split import relative_spacing

    units = [axis.unit or "" for axis in selection.spatial_axes]
    factors = [conversion(unit, units[-1]) for unit in units]
    if None in factors:
        named = ", ".join(f"{axis.name} in {axis.unit or 'no unit'}" for axis in selection.spatial_axes)
        raise InputError(
            f"{selection.image.location.address} measures its axes in different units ({named}), of which --split "
            "cannot tell the shape of a voxel."
        )
    return relative_spacing(tuple(s * (f or 1.0) for s, f in zip(selection.spatial_scale, factors, strict=True)))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
