"""From a request to a comparison of two label images."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from math import fsum, prod
from typing import Any

from chunkwise.blocks.job import Job
from chunkwise.errors import InputError
from chunkwise.ngff.match import match_selections, region_of
from chunkwise.ngff.volumes import select
from chunkwise.ops.compare import COLUMNS, Compared, compare, memory_of
from chunkwise.ops.scores import THRESHOLDS, scores, total
from chunkwise.ops.table import open_table
from chunkwise.report.comparison import comparison_page
from chunkwise.report.page import Page, Section, write_page
from chunkwise.report.view.make import Matches, view_of_comparison, write_view
from chunkwise.running.inputs import Input, Inputs
from chunkwise.running.labels import check_labels, counted, reading_grid, report_remarks
from chunkwise.running.life import LifeCycle, check_files
from chunkwise.running.request import Destination, Request, Result
from chunkwise.storage.outputs import check_output_file, write_atomically
from chunkwise.storage.writer import json_bytes

__all__ = ["run"]

#: The page's picture, where it is a file.
PICTURE = "average-precision.png"


def run(request: Request) -> Result:
    """Compare two label images; see :func:`chunkwise.running.run.run`."""
    values, to = request.values, request.to
    thresholds = _check(values, to)
    opened = [request.open(role) for role in ("truth", "predicted")]
    for side in opened:
        check_labels(side.image, "give two label images")
    truth, predicted = (
        select(
            side.image, values["level"], None, values["time"], region_of(values["region"], opened[0].image, side.image)
        )
        for side in opened
    )
    judged, remarks = match_selections(truth, predicted, values["same_voxels"])
    if "pictures" in to.files and os.path.isdir(to.files["pictures"]):
        check_output_file(os.path.join(to.files["pictures"], PICTURE))
    check_files(request)
    types = truth.source.dtype, judged.dtype
    grid, resources = reading_grid(request, truth, lambda grid: memory_of(grid, *types), 2 * prod(truth.cut_shape))
    compared = Compared(truth.source.as_numbers, judged.as_numbers, grid)
    recorded = request.recorded(threshold=list(thresholds), block=list(grid.block))
    layout = grid.layout(compared.truth.volumes)
    read = [
        Input("truth", opened[0], truth.level.path, (truth.source,)),
        Input("predicted", opened[1], predicted.level.path, (predicted.source,)),
    ]
    # Thresholds and share do not change what blocks hand on: another choice goes on from the same journal.
    work = LifeCycle(request, read, recorded, layout, ("level", "time", "region"))
    names = [side.image.name for side in opened]

    def show(matches: Matches) -> tuple[str, ...]:
        shown = view_of_comparison(truth, predicted, judged, matches)
        facts = [("Truth", names[0]), ("Prediction", names[1])]
        page = Page("Truth and prediction", "Label images compared: view", [], [Section("What is shown", facts=facts)])
        return write_view(shown, to.files["view"], page)

    with work.working(resources, compared.n_blocks) as job:
        content, left_out = _compare(request, compared, thresholds, job, names, work.inputs, show)
    pooled = content["pooled"]
    for name in ("objects", "mean_average_precision", "splits", "merges"):
        work.recorder.result(name, pooled[name])
    report_remarks(work.recorder, remarks)
    made = {"output": (to.output, "summary"), "table": (to.files.get("table"), "table")}
    made |= {name: (to.files.get(name), "page") for name in ("html", "view")}
    for name, (path, kind) in made.items():
        if path:
            work.recorder.output(name, kind, path)
    lines = _lines(content, [path for path, _ in made.values() if path])
    return Result(work.close("table"), (*lines, *(f"    {sentence}" for sentence in left_out)))


def _check(values: Mapping[str, Any], to: Destination) -> tuple[float, ...]:
    for threshold in values["threshold"] or ():
        if not 0.5 <= threshold < 1:
            raise InputError(
                f"--threshold {threshold:g} has to be at least 0.5 and below 1; below 0.5, an object could match "
                "several."
            )
    if not 0 < values["share"] <= 1:
        raise InputError(f"--share {values['share']:g} is not a fraction; give more than 0 and at most 1.")
    if "pictures" in to.files and "html" not in to.files:
        raise InputError("--pictures is the folder for the page's picture, so it needs --html as well.")
    return tuple(sorted(set(values["threshold"]))) if values["threshold"] else THRESHOLDS


def _compare(
    request: Request,
    compared: Compared,
    thresholds: tuple[float, ...],
    job: Job,
    names: list[str],
    inputs: Inputs,
    show: Callable[[Matches], tuple[str, ...]],
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Do the work, and write what was asked for: all of it, or nothing; gives also what of a view was left out."""
    files, share = request.to.files, request.values["share"]
    matches = Matches(compared.truth.first_time, {}, {})
    takers: list[Callable[[dict[str, Any]], None]] = [matches.take] if "view" in files else []
    with ExitStack() as stack:
        if "table" in files:
            form = "parquet" if files["table"].lower().endswith(".parquet") else "tsv"
            takers.append(stack.enter_context(open_table(os.path.abspath(files["table"]), form, COLUMNS)).write)

        def write(columns: dict[str, Any]) -> None:
            for take in takers:
                take(columns)

        tallies = compare(compared, job, thresholds, share, write if takers else None)
        inputs.check()
    first = compared.truth.first_time
    times = [{"t": first + volume, **scores(tally, thresholds)} for volume, tally in enumerate(tallies)]
    content: dict[str, Any] = {
        "chunkwise_comparison": 1,
        "share": share,
        "pooled": scores(total(tallies), thresholds),
        "mean_average_precision_of_times": fsum(entry["mean_average_precision"] for entry in times) / len(times),
        "times": times,
    }
    made = [files["table"]] if "table" in files else []
    left_out: tuple[str, ...] = ()
    try:
        if "view" in files:
            left_out = show(matches)
            made.append(files["view"])
        if "html" in files:
            pictures = files.get("pictures")
            write_page(comparison_page(names[0], names[1], content), files["html"], pictures)
            made += [files["html"]] + ([os.path.join(pictures, PICTURE)] if pictures else [])
        write_atomically(request.to.output or "", json_bytes(content))
    except BaseException:
        # What is there would be in the way of the same command, which is free to go on.
        for path in made:
            with suppress(OSError):
                os.unlink(path)
        raise
    return content, left_out


def _lines(content: dict[str, Any], paths: list[str]) -> list[str]:
    pooled = content["pooled"]
    first = pooled["thresholds"][0]
    return [
        f"{counted(pooled['objects']['truth'])} in the truth, {pooled['objects']['predicted']} predicted",
        f"  IoU above {first['threshold']:g}: {first['true_positives']} matched, {first['false_negatives']} missed, "
        f"{first['false_positives']} without a match; {pooled['splits']} split, {pooled['merges']} merged",
        f"  mean average precision {pooled['mean_average_precision']:.4f}, Dice {pooled['foreground']['dice']:.4f}",
        *(f"  {path}" for path in paths),
    ]
