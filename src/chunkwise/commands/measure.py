"""Measure the objects of a label image: size, place and intensities, one row an object.

The labels are read where they lie, block by block, and the table is the same as from the whole image.
With an image, its intensities are measured too, in the level that has the shape, scale and place of the labels.
A mask (bool voxels) is one object.
Every time point has its own rows. Names of columns are those of scikit-image's regionprops_table.

  chunkwise measure --labels labels.ome.zarr --image nuclei.ome.zarr --output objects.tsv

A run that was stopped goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
import os
import sys
from math import prod
from typing import Any

from chunkwise.commands.options import add_resources, add_same_voxels, parameters_of
from chunkwise.commands.outputs import Output
from chunkwise.errors import InputError

__all__ = ["add_arguments", "run"]

#: Objects that were too large are named up to this many.
NAMED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument(
        "--labels", required=True, metavar="LABELS", help="the label image: path or URL of an OME-Zarr, or a reference"
    )
    parser.add_argument(
        "--image", metavar="IMAGE", help="the image whose intensities are measured: path, URL or reference"
    )
    parser.add_argument(
        "--properties",
        nargs="+",
        metavar="NAME",
        help="what to measure: names of docs/columns.md, such as num_pixels or solidity, or the groups default, all, "
        "shape, intensity (default: default, which is size, place, and with an image the usual intensities)",
    )
    parser.add_argument(
        "--percentiles",
        metavar="P,P",
        help="which percentiles intensity_percentile measures, from 0 to 100 (default: 5,25,75,95)",
    )
    group = parser.add_argument_group("which part")
    group.add_argument("--level", default="0", metavar="N", help="resolution of the labels (default: 0, the full one)")
    group.add_argument(
        "--channel",
        action="append",
        metavar="NAME|N",
        help="channel of the image, by name or number; may be given several times (default: all)",
    )
    group.add_argument(
        "--time",
        metavar="N|A:B",
        help="time points to measure (default: all); where the labels were made of some of the image's, which ones",
    )
    group.add_argument(
        "--region",
        metavar="z0:z1,y0:y1,x0:x1",
        help="where the labels were made of a region of the image, that region, in voxels of the image's level",
    )
    add_same_voxels(group)
    group = parser.add_argument_group("where the result goes")
    group.add_argument(
        "--output",
        type=Output,
        required=True,
        metavar="OBJECTS.tsv|.parquet",
        help="the table to write; it must not exist yet",
    )
    group.add_argument("--format", choices=("tsv", "parquet"), help="of the table (default: by its name, else tsv)")
    group.add_argument(
        "--dictionary",
        type=Output,
        metavar="COLUMNS.tsv",
        help="write name, unit and description of the table's columns",
    )
    from chunkwise.commands.reports import add_reports

    add_reports(group, "OUTPUT")
    add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Measure objects; see the module's text."""
    from chunkwise.blocks.passes import Workers
    from chunkwise.blocks.run import Plan
    from chunkwise.cluster.resources import find_resources
    from chunkwise.commands.inputs import Input, Inputs
    from chunkwise.commands.labels import check_labels, reading_grid, report_remarks
    from chunkwise.commands.reports import earlier_records, finish_run, start_run, working
    from chunkwise.commands.stores import check_small_outputs
    from chunkwise.ngff.match import match_image, select_channels
    from chunkwise.ngff.volumes import select
    from chunkwise.ops.columns import choose, dictionary, table_columns
    from chunkwise.ops.measure import Measured, projected_memory
    from chunkwise.provenance.record import Recorder
    from chunkwise.reference import open_image_input
    from chunkwise.site import load_site
    from chunkwise.storage.outputs import check_output_file, write_atomically

    site = load_site()
    percentiles = _percentiles(args.percentiles)
    labels = open_image_input(args.labels, site)
    check_labels(labels.image, "give the label image with --labels and the image with --image")
    properties = choose(args.properties, len(labels.image.spatial), args.image is not None)
    image = open_image_input(args.image, site) if args.image is not None else None
    if image is None and (args.region or args.channel or args.same_voxels):
        raise InputError("--region, --channel and --same-voxels are about the image; give it with --image.")
    selection = select(labels.image, args.level, None, _time_of_labels(args, labels.image, image), None)
    read = [Input("labels", labels, selection.level.path, (selection.source,))]
    sources: tuple[Any, ...] = ()
    names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    geometry, source = selection.geometry, selection.source
    if image is not None:
        channels = select_channels(image.image, args.channel)
        match = match_image(image.image, selection, args.region, args.time, channels, args.same_voxels)
        source, sources, geometry, remarks = match.labels, match.sources, match.geometry, match.remarks
        names = _names(image.image, channels)
        read.append(Input("image", image, match.level.path, sources))
    check_output_file(args.output)
    check_small_outputs(args, "dictionary", "reference", "crate", "record")

    resources = find_resources(args.workers, args.memory, prod(selection.cut_shape), site)
    image_type = sources[0].dtype if sources else None
    grid = reading_grid(
        args.block,
        selection,
        lambda grid: projected_memory(grid, selection.source.dtype, image_type, properties),
        resources,
    )
    measured = Measured(
        labels=source.as_numbers,
        channels=sources,
        grid=grid,
        names=names,
        axes=labels.image.spatial,
        scale=geometry.scale,
        translation=geometry.origin,
        properties=properties,
        percentiles=percentiles,
    )
    form = args.format or ("parquet" if args.output.lower().endswith(".parquet") else "tsv")
    recorded = parameters_of(args) | {
        "properties": list(properties),
        "percentiles": list(percentiles),
        "channel": list(names),
        "format": form,
        "block": list(grid.block),
    }
    for name in ("labels", "dictionary"):
        del recorded[name]  # what goes in and out, no parameters
    recorder = Recorder("measure", recorded)
    inputs = Inputs(recorder, read)
    spread = {"workers", "memory", "block", "format"}
    plan = Plan(
        operation="measure",
        inputs=inputs.plan,
        parameters={name: value for name, value in recorded.items() if name not in spread},
        layout={
            "shape": list(measured.grid.shape),
            "volumes": measured.labels.volumes,
            "unit": list(measured.grid.unit),
            "block": list(measured.grid.block),
        },
    )
    output = os.path.abspath(args.output)
    under_way = start_run(args, site, plan)
    wanted = table_columns(measured.objects, properties)
    earlier, workers = earlier_records(labels.records, image.records if image else ()), Workers()
    with working(under_way, recorder, plan, workers, len(earlier), inputs) as attempts:
        count, too_large = _measure(measured, resources, under_way, workers, output, form, wanted, inputs)
        if args.dictionary:
            try:
                write_atomically(args.dictionary, dictionary(wanted, geometry.units, labels.image.spatial).encode())
            except BaseException:
                os.unlink(output)  # it would be in the way of the same command, which is free to go on
                raise
    recorder.result("objects", count)
    report_remarks(recorder, remarks)
    recorder.output(
        "output",
        "table",
        output,
        media_type="text/tab-separated-values" if form == "tsv" else "application/vnd.apache.parquet",
        description={"rows": count, "columns": [column.name for column in wanted]},
    )
    if args.dictionary:
        recorder.output("dictionary", "table", args.dictionary, media_type="text/tab-separated-values")
    if wanted[-1].of == "not_measured":
        _report_too_large(recorder, too_large)
    finish_run(args, recorder, plan, under_way, workers, attempts, earlier, "table")
    if not count:
        print(f"No objects in {labels.image.location.address}: {args.output} has nothing but its header")
        return 0
    print(f"{count} object{'s' if count != 1 else ''}, {len(wanted)} columns in {args.output}")
    if image is not None:
        print(f"  intensities of {', '.join(names)} from level {read[-1].path} of {image.image.location.address}")
    return 0


def _measure(
    measured: Any, resources: Any, under_way: Any, workers: Any, output: str, form: str, wanted: Any, inputs: Any
) -> tuple[int, tuple[int, list[dict[str, Any]]]]:
    """Do the work and write the table; gives the number of objects, and those that were too large for memory."""
    from chunkwise.cluster.start import open_executor
    from chunkwise.ops.measure import columns, measure
    from chunkwise.ops.table import open_table

    count, large = 0, 0
    named: list[dict[str, Any]] = []
    with (
        open_executor(resources, measured.n_blocks, under_way.folder, workers) as executor,
        open_table(output, form, wanted) as table,
    ):
        for volume, rows in measure(measured, executor, under_way, workers, resources.memory_per_worker):
            table.write(columns(measured, wanted, volume, rows))
            count += len(rows)
            if "not_measured" in (rows.dtype.names or ()):
                left_out = rows[rows["not_measured"] == 1]
                large += len(left_out)
                named += [_named(measured, volume, row) for row in left_out[: NAMED - len(named)]]
        inputs.check()
    return count, (large, named)


def _named(measured: Any, volume: int, row: Any) -> dict[str, Any]:
    ends = zip(measured.axes, row["first"].tolist(), (row["last"] + 1).tolist(), strict=True)
    return {
        "time": measured.labels.first_time + volume,
        "object": int(row["label"]),
        "box": {axis: [start, stop] for axis, start, stop in ends},
        "num_pixels": int(row["count"]),
    }


def _report_too_large(recorder: Any, too_large: tuple[int, list[dict[str, Any]]]) -> None:
    """Name the objects whose boxes did not fit in memory, in the record and on standard error."""
    count, named = too_large
    recorder.result("not_measured", {"count": count, "first": named})
    if named:
        one = named[0]
        box = ",".join(f"{a}:{b}" for a, b in one["box"].values())
        print(
            f"warning: {count} object{'s were' if count > 1 else ' was'} too large for --memory to be measured by "
            f"object, and what needs that is empty, with 1 in the column not_measured: object {one['object']} of time "
            f"point {one['time']} in the box {box}{', and more that the run record names' if count > 1 else ''}. "
            "Give a larger --memory to measure more.",
            file=sys.stderr,
        )


def _percentiles(text: str | None) -> tuple[float, ...]:
    from chunkwise.ops.columns import PERCENTILES

    if text is None:
        return PERCENTILES
    try:
        # As their columns are named, so that no name comes twice.
        found = sorted({float(f"{float(part):g}") for part in text.split(",")})
    except ValueError:
        found = [-1.0]
    if not all(0 <= one <= 100 for one in found):
        raise InputError(f"--percentiles '{text}' is not a list of numbers from 0 to 100, such as 5,25,75,95.")
    return tuple(found)


def _time_of_labels(args: argparse.Namespace, labels: Any, image: Any) -> str | None:
    """``--time`` chooses time points of the labels, unless the image has others: then it says which the labels are."""
    if image is not None and _times(labels) != _times(image.image):
        return None
    return str(args.time) if args.time is not None else None


def _times(image: Any) -> int:
    return int(dict(zip(image.axis_names, image.levels[0].shape, strict=True)).get("t", 1))


def _names(image: Any, channels: tuple[int, ...]) -> tuple[str, ...]:
    """Names of channels as ends of column names: without tabs and line breaks, and none twice."""
    names = [" ".join(image.channels[channel].name.split()) or str(channel) for channel in channels]
    return tuple(
        name if names.count(name) == 1 else f"{name}-{channel}" for name, channel in zip(names, channels, strict=True)
    )
