"""Compare two label images: which objects were found, missed, split and merged.

TRUTH is the label image to compare with, such as outlines that people drew; PREDICTED is the one to judge. Both are
read where they lie, block by block, and the numbers are those of the whole images. Ids do not matter. A predicted
object matches a true one if their intersection over union (IoU) is greater than the threshold. Every time point
is compared by itself; the counts of all are pooled too.

  chunkwise compare truth.ome.zarr nuclei.ome.zarr --output comparison.json --table matches.tsv --html report.html

A run that was stopped goes on where it stopped when the same command is given again.
"""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack, suppress
from math import fsum, prod
from typing import Any

from chunkwise.commands.options import add_level, add_resources, add_same_voxels, add_time, parameters_of
from chunkwise.commands.outputs import Output
from chunkwise.errors import InputError

__all__ = ["add_arguments", "run"]

#: The page's picture, where it is a file.
PICTURE = "average-precision.png"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this command."""
    parser.add_argument("truth", metavar="TRUTH", help="the label image to compare with: path, URL or reference")
    parser.add_argument("predicted", metavar="PREDICTED", help="the label image to judge: path, URL or reference")
    group = parser.add_argument_group("what is counted")
    group.add_argument(
        "--threshold",
        nargs="+",
        type=float,
        metavar="IOU",
        help="IoU that a match has to exceed, each from 0.5 up to but without 1 (default: 0.5 0.55 ... 0.95)",
    )
    group.add_argument(
        "--share",
        type=float,
        default=0.1,
        metavar="PART",
        help="an object is split, or merged, where two others cover at least this part of it each (default: 0.1)",
    )
    group = parser.add_argument_group("which part of both images")
    add_level(group)
    add_time(group)
    group.add_argument(
        "--region",
        metavar="z0:z1,y0:y1,x0:x1",
        help="cut both images first; in voxels of the level, ends not included (for 2-D images: y0:y1,x0:x1)",
    )
    add_same_voxels(group)
    group = parser.add_argument_group("where the result goes")
    group.add_argument(
        "--output", type=Output, required=True, metavar="COMPARISON.json", help="all counts and scores; must not exist"
    )
    group.add_argument(
        "--table", type=Output, metavar="MATCHES.tsv|.parquet", help="one row an object: its best match, and the IoU"
    )
    group.add_argument("--html", type=Output, metavar="REPORT.html", help="a page to read")
    group.add_argument(
        "--pictures",
        type=Output,
        metavar="DIR",
        help="write the page's picture as a PNG file into this folder (without it, it is inside the page)",
    )
    from chunkwise.commands.reports import add_reports

    add_reports(group, "OUTPUT")
    add_resources(parser)


def run(args: argparse.Namespace) -> int:
    """Compare two label images; see the module's text."""
    from chunkwise.blocks.passes import Workers
    from chunkwise.blocks.run import Plan
    from chunkwise.cluster.resources import find_resources
    from chunkwise.commands.inputs import Input, Inputs
    from chunkwise.commands.labels import check_labels, reading_grid, report_remarks
    from chunkwise.commands.reports import earlier_records, finish_run, start_run, working
    from chunkwise.commands.stores import check_small_outputs
    from chunkwise.ngff.match import match_selections, region_of
    from chunkwise.ngff.volumes import select
    from chunkwise.ops.compare import Compared, projected_memory
    from chunkwise.provenance.record import Recorder
    from chunkwise.reference import open_image_input
    from chunkwise.site import load_site
    from chunkwise.storage.outputs import check_output_file

    thresholds = _check_options(args)
    site = load_site()
    opened = [open_image_input(text, site) for text in (args.truth, args.predicted)]
    for side in opened:
        check_labels(side.image, "give two label images")
    truth, predicted = (
        select(side.image, args.level, None, args.time, region_of(args.region, opened[0].image, side.image))
        for side in opened
    )
    judged, remarks = match_selections(truth, predicted, args.same_voxels)
    if args.pictures and os.path.isdir(args.pictures):
        check_output_file(os.path.join(args.pictures, PICTURE))
    check_small_outputs(args, "output", "table", "html", "reference", "crate", "record")

    resources = find_resources(args.workers, args.memory, 2 * prod(truth.cut_shape), site)
    types = truth.source.dtype, judged.dtype
    grid = reading_grid(args.block, truth, lambda grid: projected_memory(grid, *types), resources)
    compared = Compared(truth.source.as_numbers, judged.as_numbers, grid)
    recorded = parameters_of(args) | {"threshold": list(thresholds), "block": list(grid.block)}
    for name in ("truth", "predicted", "table", "html", "pictures"):
        del recorded[name]  # what goes in and out, no parameters
    recorder = Recorder("compare", recorded)
    inputs = Inputs(
        recorder,
        [
            Input("truth", opened[0], truth.level.path, (truth.source,)),
            Input("predicted", opened[1], predicted.level.path, (predicted.source,)),
        ],
    )
    # Thresholds and share do not change what blocks hand on: another choice goes on from the same journal.
    parameters = {name: recorded[name] for name in ("level", "time", "region")}
    layout = {
        "shape": list(grid.shape),
        "volumes": compared.truth.volumes,
        "unit": list(grid.unit),
        "block": list(grid.block),
    }
    plan = Plan("compare", inputs.plan, parameters, layout)
    under_way = start_run(args, site, plan)
    names = [side.image.name for side in opened]
    earlier, workers = earlier_records(*(side.records for side in opened)), Workers()
    with working(under_way, recorder, plan, workers, len(earlier), inputs) as attempts:
        content = _compare(args, compared, thresholds, under_way, workers, resources, names, inputs)
    pooled = content["pooled"]
    for name in ("objects", "mean_average_precision", "splits", "merges"):
        recorder.result(name, pooled[name])
    report_remarks(recorder, remarks)
    for name, kind in (("output", "summary"), ("table", "table"), ("html", "page")):
        if getattr(args, name):
            recorder.output(name, kind, getattr(args, name))
    finish_run(args, recorder, plan, under_way, workers, attempts, earlier, "table")
    _say(args, content)
    return 0


def _check_options(args: argparse.Namespace) -> tuple[float, ...]:
    from chunkwise.ops.scores import THRESHOLDS

    for threshold in args.threshold or ():
        if not 0.5 <= threshold < 1:
            raise InputError(
                f"--threshold {threshold:g} has to be at least 0.5 and below 1; with less, an object could match "
                "several."
            )
    if not 0 < args.share <= 1:
        raise InputError(f"--share {args.share:g} is not a share; give more than 0 and at most 1.")
    if args.pictures and not args.html:
        raise InputError("--pictures is the folder for the page's picture, so it needs --html as well.")
    return tuple(sorted(set(args.threshold))) if args.threshold else THRESHOLDS


def _compare(
    args: argparse.Namespace,
    compared: Any,
    thresholds: tuple[float, ...],
    under_way: Any,
    workers: Any,
    resources: Any,
    names: list[str],
    inputs: Any,
) -> dict[str, Any]:
    """Do the work, and write what was asked for: all of it, or nothing."""
    from chunkwise.cluster.start import open_executor
    from chunkwise.ops.compare import COLUMNS, compare
    from chunkwise.ops.scores import scores, total
    from chunkwise.ops.table import open_table
    from chunkwise.report.comparison import comparison_page
    from chunkwise.report.page import write_page
    from chunkwise.storage.outputs import write_atomically
    from chunkwise.storage.writer import json_bytes

    with ExitStack() as stack:
        executor = stack.enter_context(open_executor(resources, compared.n_blocks, under_way.folder, workers))
        write = None
        if args.table:
            form = "parquet" if args.table.lower().endswith(".parquet") else "tsv"
            write = stack.enter_context(open_table(os.path.abspath(args.table), form, COLUMNS)).write
        tallies = compare(compared, executor, under_way, workers, thresholds, args.share, write)
        inputs.check()
    first = compared.truth.first_time
    times = [{"t": first + volume, **scores(tally, thresholds)} for volume, tally in enumerate(tallies)]
    content: dict[str, Any] = {
        "chunkwise_comparison": 1,
        "share": args.share,
        "pooled": scores(total(tallies), thresholds),
        "mean_average_precision_of_times": fsum(entry["mean_average_precision"] for entry in times) / len(times),
        "times": times,
    }
    made = [args.table] if args.table else []
    try:
        if args.html:
            write_page(comparison_page(names[0], names[1], content), args.html, args.pictures)
            made += [args.html] + ([os.path.join(args.pictures, PICTURE)] if args.pictures else [])
        write_atomically(args.output, json_bytes(content))
    except BaseException:
        # What is there would be in the way of the same command, which is free to go on.
        for path in made:
            with suppress(OSError):
                os.unlink(path)
        raise
    return content


def _say(args: argparse.Namespace, content: dict[str, Any]) -> None:
    pooled = content["pooled"]
    first = pooled["thresholds"][0]
    print(f"{pooled['objects']['truth']} objects in the truth, {pooled['objects']['predicted']} predicted")
    print(
        f"  IoU above {first['threshold']:g}: {first['true_positives']} matched, {first['false_negatives']} missed, "
        f"{first['false_positives']} without a match; {pooled['splits']} split, {pooled['merges']} merged"
    )
    print(f"  mean average precision {pooled['mean_average_precision']:.4f}, Dice {pooled['foreground']['dice']:.4f}")
    for path in (args.output, args.table, args.html):
        if path:
            print(f"  {path}")
