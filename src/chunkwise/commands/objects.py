"""Make objects of maps: what a model says of every pixel becomes a label image.

The maps are the channels of an image that 'chunkwise predict' or another program wrote. Objects that
touch are parted by what the model says, and the result is the same whatever the blocks: an object that
crosses the border of blocks is one object, and two that touch there are two. With --method auto, the
default, the model's package says how; every part of that can be said otherwise.

  chunkwise objects maps.ome.zarr --output labels.ome.zarr
  chunkwise objects maps.ome.zarr --output labels.ome.zarr --method foreground-boundary --seed-threshold 0.4

A run that was stopped goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
import sys
from math import prod
from typing import Any

from chunkwise.commands.options import (
    add_level,
    add_region,
    add_resources,
    add_store_output,
    add_time,
    parameters_of,
)
from chunkwise.commands.outputs import Output
from chunkwise.errors import InputError

__all__ = ["add_arguments", "run"]

METHODS = ("auto", "threshold", "foreground-boundary", "foreground-distance", "flows", "stardist")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "image", metavar="MAPS", help="path or URL of an OME-Zarr whose channels are maps, or a reference JSON"
    )
    group = parser.add_argument_group("which part of the maps")
    add_level(group)
    add_time(group)
    add_region(group)
    group = parser.add_argument_group("how maps become objects (defaults: what the model says, else those named here)")
    group.add_argument(
        "--method", choices=METHODS, default="auto", help="auto does what the model's package says (default: auto)"
    )
    group.add_argument(
        "--channels",
        metavar="MAP=CHANNEL,...",
        help="which channel holds which map, by name or number, such as foreground=0,boundary=1",
    )
    group.add_argument(
        "--threshold", type=float, metavar="T", help="a voxel is part of an object above this (default: 0.5; flows: 0)"
    )
    group.add_argument(
        "--seed-threshold",
        type=float,
        metavar="T",
        help="foreground-boundary: an object begins where foreground less boundary is above this (default: 0.5); "
        "foreground-distance: where a peak of the distance is above this (default: 0)",
    )
    group.add_argument(
        "--min-distance",
        type=int,
        metavar="N",
        help="foreground-distance: voxels around a peak in which none is higher (default: 5)",
    )
    group.add_argument(
        "--flow-scale", type=float, metavar="L", help="flows: length of a flow that means one voxel (default: 5)"
    )
    group.add_argument("--steps", type=int, metavar="N", help="flows: steps that a voxel goes at most (default: 200)")
    group.add_argument(
        "--sink-distance",
        type=int,
        metavar="N",
        help="flows: voxels that end no further apart than this are one object (default: 3)",
    )
    group.add_argument(
        "--nms-threshold",
        type=float,
        metavar="SHARE",
        help="stardist: of two polygons that share more of the smaller one's pixels, one is kept (default: 0.4)",
    )
    group.add_argument(
        "--max-radius",
        type=int,
        metavar="N",
        help="stardist: polygons that reach further than N pixels are left out, and counted (default: 128)",
    )
    group.add_argument(
        "--grid",
        type=int,
        metavar="N",
        help="stardist: pixels of the image for one of the maps, in which distances are counted (default: 1)",
    )
    group.add_argument(
        "--connectivity",
        type=int,
        metavar="N",
        help="along how many axes at once a step may go inside one object: 1 joins voxels that share a face, "
        "the number of axes also those that share a corner (default: the number of axes)",
    )
    group.add_argument("--fill-holes", action="store_true", help="fill holes that are enclosed on every side")
    group.add_argument("--min-size", type=int, metavar="N", help="drop objects of fewer than N voxels (default: 0)")
    result = add_store_output(parser, "label image")
    result.add_argument(
        "--overlay", type=Output, metavar="OVERLAY.png", help="write a picture of the first map with the outlines"
    )
    add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Make objects; see the module's text."""
    from chunkwise.blocks.grid import Grid
    from chunkwise.blocks.passes import Workers
    from chunkwise.cluster.resources import find_resources, fit_grid
    from chunkwise.cluster.start import open_executor
    from chunkwise.commands.labels import report_unsplit
    from chunkwise.commands.object_options import channels_of, choose, rays_from, told_by_model
    from chunkwise.commands.stores import StoreWriter, check_block, check_chunks, check_small_outputs
    from chunkwise.ngff.layout import shard_of
    from chunkwise.ops import star_passes
    from chunkwise.ops.objects import find_objects, projected_memory
    from chunkwise.ops.write_labels import LabelResult
    from chunkwise.reference import open_image_input
    from chunkwise.site import load_site

    site = load_site()
    opened = open_image_input(args.image, site)
    told = told_by_model(opened)
    parameters, said = choose(args, told, opened.image.location.address, len(opened.image.spatial))
    channels, selection = channels_of(opened, parameters, said, args)
    source = selection.source
    _check_values(source.dtype, parameters, opened.image.location.address)
    rays = rays_from(opened, channels) if parameters.method == "stardist" else ()
    check_small_outputs(args, "reference", "crate", "record", "overlay")
    _, shard = shard_of(source.shape, args.shard)
    check_block(args.block, opened.image.spatial)
    resources = find_resources(args.workers, args.memory, prod(source.shape) * source.volumes, site)
    check_chunks(selection, resources)

    def projected(grid: Grid) -> int:
        if rays:
            return star_passes.projected_memory(grid, source.dtype, len(rays), parameters.values["max_radius"])
        return projected_memory(grid, source.dtype)

    grid = fit_grid(
        projected,
        Grid.fit(source.shape, shard, args.block or shard),
        shard,
        resources,
        fixed=args.block is not None,
    )

    # Parameters of other methods are left out, so that the record says what was done and nothing else.
    recorded = {name: value for name, value in parameters_of(args).items() if value is not None}
    recorded |= parameters.values | {
        "method": parameters.method,
        "channels": ",".join(f"{name}={source.channel}" for name, source in channels.items()),
        "block": list(grid.block),
        "shard": list(shard),
    }
    if isinstance(told.get("model"), dict):
        recorded["model"] = " ".join(str(told["model"].get(name, "")) for name in ("id", "sha256")).strip()
    size = 4 * prod(source.shape) * source.volumes
    writer = StoreWriter(
        "objects", args, site, opened, selection, recorded, grid, "labels", size, True, (*channels.values(), *rays)
    )
    workers = Workers()
    with (
        writer.writing(workers) as under_way,
        open_executor(resources, grid.n_blocks * source.volumes, under_way.folder, workers) as executor,
    ):
        memory = resources.memory_per_worker
        result: LabelResult
        if rays:
            result = stars = star_passes.find_stars(
                channels, rays, grid, parameters, writer.label_image, executor, under_way, workers
            )
        else:
            result = find_objects(channels, grid, parameters, writer.label_image, executor, under_way, workers, memory)
        writer.complete(result.output)
    writer.recorder.result("objects", result.counts)
    if rays:
        _report_left_out(writer, stars, source, parameters.values["max_radius"])
    else:
        report_unsplit(writer, result, source.first_time, opened.image.spatial)
    writer.overlay(result.output)
    writer.report(result.output, workers)
    total = sum(result.counts)
    print(f"{total} object{'s' if total != 1 else ''} in {writer.location.address}, by {parameters.method}")
    for time, count in enumerate(result.counts if source.volumes > 1 else ()):
        print(f"  time point {source.first_time + time}: {count} objects")
    return 0


def _report_left_out(writer: Any, stars: Any, source: Any, max_radius: int) -> None:
    """Count the pixels whose polygon is too large, and name the largest, in the record and on standard error."""
    import numpy as np

    named = []
    for volume, entry in enumerate(stars.left_out):
        if entry["count"]:
            place = [int(i) for i in np.unravel_index(entry["place"], source.shape)]
            known = {"count": entry["count"], "largest_radius": entry["radius"], "place": place}
            named.append({"time": source.first_time + volume, **known})
    writer.recorder.result("left_out", named)
    writer.recorder.result("rounds", stars.rounds)
    if named:
        one = max(named, key=lambda entry: entry["largest_radius"])
        total = sum(entry["count"] for entry in named)
        print(
            f"warning: the polygons of {total} pixel{'s' if total != 1 else ''} reach further than --max-radius "
            f"{max_radius}, and were left out: the largest reaches {one['largest_radius']} pixels, from pixel "
            f"{one['place'][0]},{one['place'][1]} of time point {one['time']}. A larger --max-radius takes them in.",
            file=sys.stderr,
        )


def _check_values(dtype: str, parameters: Any, address: str) -> None:
    """Refuse maps that cannot mean what the method needs."""
    if dtype == "uint8" and parameters.method in ("flows", "stardist"):
        raise InputError(
            f"{address} holds uint8 voxels, which stand for 0 to 1, and the method {parameters.method} needs other "
            "numbers, too: write the maps as float16 or float32."
        )
    threshold = parameters.values["threshold"]
    if dtype == "uint8" and not 0 <= threshold <= 1:
        raise InputError(
            f"{address} holds uint8 voxels, which stand for 0 to 1; --threshold {threshold:g} lies outside."
        )
