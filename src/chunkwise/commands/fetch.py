"""Cut a piece out of a stored image or label image, as a dataset of its own.

A level, channels, time points and a region become an OME-Zarr (0.5, sharded, with its own pyramid; .ozx: in one zip
file) or an OME-TIFF, so that any other tool can follow. Voxels are copied as they are; scale, units, channel names and
the place of the piece in the whole go with them.

  chunkwise fetch embryo.ome.zarr --output piece.ome.zarr --channel GFP --region 0:32,512:1024,512:1024
  chunkwise fetch embryo.ome.zarr --output overview.ome.tiff --level 3
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from math import prod
from typing import Any

from chunkwise.commands.options import (
    add_image,
    add_level,
    add_resources,
    add_time,
    parameters_of,
    parse_sizes,
)
from chunkwise.commands.outputs import StoreOutput
from chunkwise.errors import InputError

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    from chunkwise.commands.reports import add_reports

    add_image(parser)
    group = parser.add_argument_group("which part of the image")
    add_level(group)
    group.add_argument(
        "--channel",
        action="append",
        metavar="NAME|N",
        help="channel, by name or number; may be given several times (default: all)",
    )
    add_time(group)
    group.add_argument(
        "--region",
        metavar="z0:z1,y0:y1,x0:x1",
        help="in voxels of the level, ends not included (for 2-D images: y0:y1,x0:x1; default: all)",
    )
    group = parser.add_argument_group("where the result goes")
    where = group.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--output",
        type=StoreOutput,
        metavar="PIECE.ome.zarr|.ozx|.ome.tiff",
        help="the dataset to write; it must not exist",
    )
    where.add_argument("--to-workspace", metavar="NAME", help="write into the site's workspace under this name")
    group.add_argument(
        "--format",
        choices=("zarr", "ozx", "tiff"),
        help="of the dataset; ozx is an OME-Zarr in one zip file (default: by its name, else zarr)",
    )
    add_reports(group, "OUTPUT")
    group.add_argument(
        "--shard",
        type=parse_sizes,
        metavar="z,y,x",
        help="voxels of one file of an OME-Zarr; changes its files, not its voxels (default: from shape and type)",
    )
    add_resources(parser)
    parser.set_defaults(into_source=None)


def run(args: argparse.Namespace) -> int:
    """Fetch a piece; see the module's text."""
    from chunkwise.cluster.resources import find_resources
    from chunkwise.commands.stores import check_small_outputs
    from chunkwise.ngff.match import select_channels
    from chunkwise.ngff.volumes import select
    from chunkwise.reference import open_image_input
    from chunkwise.site import load_site

    site = load_site()
    opened = open_image_input(args.image, site)
    channels = select_channels(opened.image, args.channel)
    # The selection is of one channel; the others are beside it.
    selection = select(opened.image, args.level, "0", args.time, args.region)
    sources = tuple(replace(selection.source, channel=channel) for channel in channels)
    check_small_outputs(args, "reference", "crate", "record")
    form = args.format or _form_of(args.output or "")
    # An OME-TIFF is one file, which this process writes.
    voxels = prod(selection.cut_shape) * len(channels)
    resources = find_resources(args.workers, args.memory, voxels, site, here=form == "tiff")
    recorded = parameters_of(args) | {"channel": [opened.image.channels[c].name for c in channels], "format": form}
    del recorded["into_source"]
    if form != "tiff":
        place = _to_zarr(args, site, opened, selection, sources, recorded, resources)
    else:
        place = _to_tiff(args, site, opened, selection, sources, recorded, resources)
    shape = _shape(opened.image, selection.cut_shape, len(channels))
    sizes = ", ".join(f"{axis.name} {n}" for axis, n in zip(opened.image.axes, shape, strict=True))
    print(f"{sizes} voxels of {selection.level.dtype} in {place}")
    return 0


def _form_of(name: str) -> str:
    from chunkwise.storage.location import ZIP_NAMES

    if name.lower().endswith(ZIP_NAMES):
        return "ozx"
    return "tiff" if name.lower().endswith((".tif", ".tiff")) else "zarr"


def _shape(image: Any, cut: tuple[int, ...], channels: int) -> tuple[int, ...]:
    return tuple(channels if axis.type == "channel" else n for axis, n in zip(image.axes, cut, strict=True))


def _bytes_of(selection: Any, sources: tuple[Any, ...]) -> int:
    import numpy as np

    source = selection.source
    return int(len(sources) * source.volumes * prod(source.shape) * np.dtype(source.dtype).itemsize)


def _to_zarr(
    args: argparse.Namespace,
    site: Any,
    opened: Any,
    selection: Any,
    sources: tuple[Any, ...],
    recorded: dict[str, Any],
    resources: Any,
) -> str:
    from chunkwise.blocks.grid import Grid
    from chunkwise.blocks.passes import Workers
    from chunkwise.cluster.resources import fit_grid
    from chunkwise.cluster.start import open_executor
    from chunkwise.commands.stores import StoreWriter, check_block, check_chunks
    from chunkwise.ngff.layout import OutputImage, shard_of
    from chunkwise.ops.fetch import fetch, omero_of, projected_memory

    image = opened.image
    labels = image.kind == "labels"
    if labels:  # which have to be integers
        sources = tuple(one.as_numbers for one in sources)
    source = sources[0]
    _, shard = shard_of(source.shape, args.shard)
    check_block(args.block, image.spatial)
    check_chunks(selection, resources)
    grid = fit_grid(
        lambda grid: projected_memory(grid, source.dtype),
        Grid.fit(source.shape, shard, args.block or shard),
        shard,
        resources,
        fixed=args.block is not None,
    )
    recorded |= {"block": list(grid.block), "shard": list(shard)}
    size = _bytes_of(selection, sources)
    name = image.name or "image"
    writer = StoreWriter("fetch", args, site, opened, selection, recorded, grid, name, size, labels, sources)
    output = OutputImage(
        name=writer.name,
        axes=image.axes,
        shape=_shape(image, selection.cut_shape, len(sources)),
        dtype=source.dtype,
        scale=selection.level.scale,
        translation=selection.translation,
        labels=labels,
        shard=args.shard,
        omero=None if labels else omero_of(tuple(image.channels[s.channel] for s in sources), source.dtype),
        downsampling="nearest" if labels else "mean",
        placed=image.placed,
    )
    workers = Workers()
    tasks = output.n_volumes * grid.n_units
    with writer.writing(workers) as under_way, open_executor(resources, tasks, under_way.folder, workers) as executor:
        fetch(sources, grid, output, executor, under_way, workers)
        writer.complete(output)
    writer.report(output, workers)
    return str(writer.location.address)


def _to_tiff(
    args: argparse.Namespace,
    site: Any,
    opened: Any,
    selection: Any,
    sources: tuple[Any, ...],
    recorded: dict[str, Any],
    resources: Any,
) -> str:
    from chunkwise.commands.inputs import Input, Inputs
    from chunkwise.commands.places import check_size
    from chunkwise.commands.reports import earlier_records, write_reports
    from chunkwise.ops.tiff import TiffCut, tiff_type, write_ome_tiff
    from chunkwise.provenance.files import describe_file
    from chunkwise.provenance.record import Recorder
    from chunkwise.storage.outputs import check_output_file

    if args.to_workspace:
        raise InputError("--to-workspace takes OME-Zarr only; give the OME-TIFF a name with --output.")
    image = opened.image
    dtype = tiff_type(selection.source.dtype)
    check_size(site, _bytes_of(selection, sources))
    check_output_file(args.output)
    output = os.path.abspath(args.output)
    recorder = Recorder("fetch", recorded)
    inputs = Inputs(recorder, [Input("image", opened, selection.level.path, sources)])
    spatial = tuple(n for n, axis in zip(selection.level.chunks, image.axes, strict=True) if axis.type == "space")
    cut = TiffCut(
        name=image.name or "image",
        channels=sources,
        channel_names=tuple(image.channels[source.channel].name for source in sources),
        axes=image.axes,
        scale=selection.level.scale,
        translation=selection.translation,
        chunks=spatial,
    )
    with inputs.held():
        write_ome_tiff(output, cut, resources.memory_per_worker // 8, resources.workers, inputs.check)
    description = {
        "shape": list(cut.shape),
        "dtype": dtype,
        "axes": [{"name": axis.name, "type": axis.type, "unit": axis.unit} for axis in image.axes],
        "scale": list(cut.scale),
        "translation": list(cut.translation),
        "channels": list(cut.channel_names),
    }
    recorder.output(
        "output",
        image.kind,
        output,
        media_type="image/tiff",
        description=description,
        **describe_file(output),
    )
    write_reports(args, recorder.finish(), earlier_records(opened.records), image.kind, {})
    return str(output)
