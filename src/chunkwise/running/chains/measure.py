"""From a request to a table of objects."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.errors import InputError
from chunkwise.ngff.match import match_image, match_selections
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import EVERY, Selection, VolumeSource, select
from chunkwise.ops import compare
from chunkwise.ops.columns import PERCENTILES, Column, choose, dictionary, table_columns
from chunkwise.ops.measure import Measured, columns, intensity_sums, measure, memory_of
from chunkwise.ops.parents import CHILDREN, Parents
from chunkwise.ops.table import MEDIA, check_places, form_of, open_table
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput
from chunkwise.report.by_time import Summary, summary_columns
from chunkwise.report.measurement import View, measurement_page
from chunkwise.report.page import write_page
from chunkwise.report.tally import Tally
from chunkwise.report.window import fullest
from chunkwise.running.inputs import Input, Inputs
from chunkwise.running.labels import (
    check_labels,
    counted,
    named_object,
    reading_grid,
    report_remarks,
    time_of_labels,
    where_words,
)
from chunkwise.running.life import LifeCycle, check_files
from chunkwise.running.request import Request, Result
from chunkwise.storage.outputs import write_atomically

__all__ = ["run"]

#: Objects that were too large are named up to this many.
NAMED = 20


def run(request: Request) -> Result:
    """Measure objects; see :func:`chunkwise.running.run.run`."""
    values, to = request.values, request.to
    percentiles = _percentiles(values["percentiles"])
    labels = request.open("labels")
    check_labels(labels.image, "give the label image with --labels and the image with --image")
    image = request.open("image") if "image" in request.inputs else None
    properties = choose(values["properties"], len(labels.image.spatial), image is not None)
    parents = request.open("parents") if "parents" in request.inputs else None
    _check(request, image, parents)
    time = time_of_labels(values["time"], labels.image, image.image if image is not None else None)
    selection = select(labels.image, values["level"], None, time)
    read = [Input("labels", labels, selection.level.path, (selection.source,))]
    sources: tuple[VolumeSource, ...] = ()
    names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    geometry, source = selection.geometry, selection.source
    if image is not None:
        channels = select(image.image, 0, values["channel"] or EVERY).channels
        match = match_image(image.image, selection, values["region"], values["time"], channels, values["same_voxels"])
        source, sources, geometry, remarks = match.labels, match.sources, match.geometry, match.remarks
        names = _names(image.image, channels)
        read.append(Input("image", image, match.level.path, sources))
    related: VolumeSource | None = None
    if parents is not None:
        others = select(parents.image, values["level"], None, time)
        related, more = _related(selection, others, source, values["same_voxels"])
        remarks += more
        read.append(Input("parents", parents, others.level.path, (related,)))
    check_files(request)
    image_type = sources[0].dtype if sources else None

    def projected(grid: Grid) -> int:
        alone = memory_of(grid, source.dtype, image_type, properties)
        return max(alone, compare.memory_of(grid, related.dtype, source.dtype) if related is not None else 0)

    grid, resources = reading_grid(request, selection, projected, prod(selection.cut_shape))
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
        parents=related is not None,
    )
    output = os.path.abspath(to.output or "")
    form = to.format or form_of(output, places=True)
    wanted = table_columns(measured.objects, properties)
    check_places(form, wanted)
    recorded = request.recorded(
        properties=list(properties),
        percentiles=list(percentiles),
        channel=list(names),
        format=form,
        block=list(grid.block),
    )
    layout = grid.layout(measured.labels.volumes)
    work = LifeCycle(request, read, recorded, layout, recorded.keys() - {"workers", "memory", "block", "format"})
    recorder = work.recorder
    with work.working(resources, measured.n_blocks) as job:
        tally = _tally(measured, wanted) if "report" in to.files else None
        tables = {name: os.path.abspath(to.files[name]) for name in ("summary", "children") if name in to.files}
        tables["output"] = output
        found = _measure(measured, related, job, tables, form, wanted, work.inputs, tally)
        count, made = found.count, list(tables.values())
        try:
            if "dictionary" in to.files:
                text = dictionary(wanted, geometry.units, labels.image.spatial)
                write_atomically(to.files["dictionary"], text.encode())
                made.append(to.files["dictionary"])
            if tally is not None:
                page = measurement_page(
                    tally,
                    _view(measured, tally),
                    geometry.scale,
                    geometry.units,
                    labels.image.spatial,
                    recorder.so_far,
                    work.earlier,
                    remarks,
                )
                write_page(page, to.files["report"])
        except BaseException:
            for path in made:
                os.unlink(path)  # it would be in the way of the same command, which is free to go on
            raise
    recorder.result("objects", count)
    report_remarks(recorder, remarks)
    described = {"rows": count, "columns": [column.name for column in wanted]}
    recorder.output("output", "table", output, media_type=MEDIA[form], description=described)
    for name in ("summary", "children", "dictionary"):
        if name in to.files:
            recorder.output(name, "table", to.files[name], media_type=MEDIA[form_of(to.files[name])])
    if "report" in to.files:
        recorder.output("report", "page", to.files["report"])
    if wanted[-1].of == "not_measured":
        _report_too_large(recorder, (found.large, found.named))
    reference = work.close("table")
    if not count:
        return Result(reference, (f"No objects in {labels.image.location.address}: {to.output} lists none",))
    lines = [f"{counted(count)}, {len(wanted)} columns in {to.output}"]
    if image is not None:
        where = f"level {read[-1].path} of {image.image.location.address}"
        lines.append(f"  intensities of {', '.join(names)} from {where}")
    if parents is not None:
        lines.append(f"  {found.with_parent} of them in an object of {parents.image.location.address}")
    lines += [f"  {to.files[name]}" for name in ("summary", "children") if name in to.files]
    return Result(reference, tuple(lines))


def _check(request: Request, image: OpenedInput | None, parents: OpenedInput | None) -> None:
    """Refuse what needs an input that is not there, and parents that are no labels."""
    values = request.values
    if parents is not None:
        check_labels(parents.image, "give a label image with --parents")
    elif "children" in request.to.files:
        raise InputError("--children counts objects by their parents; give the label image of these with --parents.")
    if image is None and (values["region"] or values["channel"]):
        raise InputError("--region and --channel apply to the image; give it with --image.")
    if image is None and parents is None and values["same_voxels"]:
        raise InputError("--same-voxels applies to the image or the parents; give them with --image or --parents.")


def _related(
    selection: Selection, others: Selection, source: VolumeSource, same_voxels: bool
) -> tuple[VolumeSource, tuple[str, ...]]:
    """The parents of what is measured, volume by volume; and what was taken on trust."""
    found, remarks = match_selections(selection, others, same_voxels)
    if source.still is not None:  # labels of one time point, measured at every one of the image
        found = replace(found, first_time=source.first_time, volumes=source.volumes, still=found.first_time)
    return found.as_numbers, remarks


@dataclass
class _Found:
    """What there is to say of the objects beside their rows."""

    count: int = 0
    with_parent: int = 0
    large: int = 0
    """Objects that were too large for memory."""
    named: list[dict[str, Any]] = field(default_factory=list)
    """The first of these."""


def _measure(
    measured: Measured,
    related: VolumeSource | None,
    job: Job,
    tables: dict[str, str],
    form: str,
    wanted: list[Column],
    inputs: Inputs,
    tally: Tally | None,
) -> _Found:
    """Do the work, and write the tables: all of them, or none."""
    found, summary, parents = _Found(), None, None
    with ExitStack() as stack:
        if "summary" in tables:
            layout = summary_columns(measured, measured.parents)
            rows_of = stack.enter_context(open_table(tables["summary"], form_of(tables["summary"]), layout))
            summary = Summary(measured, measured.parents, rows_of.write)
        if related is not None:
            write = None
            if "children" in tables:
                path = tables["children"]
                write = stack.enter_context(open_table(path, form_of(path), CHILDREN)).write
            parents = Parents(measured.labels, related, measured.grid, job, write)
        table = stack.enter_context(open_table(tables["output"], form, wanted))
        for volume, rows in measure(measured, job):
            more = parents.following(rows["label"]) if parents is not None else {}
            values = columns(measured, wanted, volume, rows, more)
            table.write(values)
            if tally is not None:
                tally.add(volume, rows, values)
            if summary is not None:
                sums = [intensity_sums(rows, channel) for channel in range(len(measured.names))]
                summary.add(volume, rows, sums, more.get("parent"))
            found.count += len(rows)
            found.with_parent += int((more["parent"] > 0).sum()) if more else 0
            if "not_measured" in (rows.dtype.names or ()):
                left_out = rows[rows["not_measured"] == 1]
                found.large += len(left_out)
                found.named += [_named(measured, volume, row) for row in left_out[: NAMED - len(found.named)]]
        if parents is not None:
            parents.close()
        if summary is not None:
            summary.close()
        inputs.check()
    if summary is not None and summary.rounded:
        print(
            "warning: There are so many different sizes that the medians of the summary are rounded down, by less than "
            "a thousandth.",
            file=sys.stderr,
        )
    return found


def _tally(measured: Measured, wanted: list[Column]) -> Tally:
    first = measured.labels.first_time
    times = range(first, first + measured.labels.volumes)
    return Tally(wanted, measured.names, measured.grid.shape, times)


def _view(measured: Measured, tally: Tally) -> View | None:
    """Read the plane and window with most objects, of the first time point that has any."""
    if tally.shown is None:
        return None
    shape, volume = measured.grid.shape, tally.shown
    box = fullest(tally.boxes, shape)
    planes = [source.read(volume, box) for source in (measured.labels, *measured.channels[:1])]
    labels, *image = (plane.reshape(plane.shape[-2:]) for plane in planes)
    time = measured.labels.first_time + volume if measured.labels.volumes > 1 else None
    return View(labels, image[0] if image else None, "".join(measured.names[:1]), box, shape, time)


def _named(measured: Measured, volume: int, row: Any) -> dict[str, Any]:
    ends = zip(measured.axes, zip(row["first"].tolist(), (row["last"] + 1).tolist(), strict=True), strict=True)
    return named_object(measured.labels.first_time + volume, int(row["label"]), dict(ends), int(row["count"]))


def _report_too_large(recorder: Recorder, too_large: tuple[int, list[dict[str, Any]]]) -> None:
    """Name the objects whose boxes did not fit in memory, in the record and on standard error."""
    count, named = too_large
    recorder.result("not_measured", {"count": count, "first": named})
    if named:
        print(
            f"warning: {count} object{'s were' if count > 1 else ' was'} too large for --memory to be measured as a "
            f"whole; the columns that need this are empty, and the column not_measured says 1: "
            f"{where_words(count, named)}. "
            "Give a larger --memory to measure more.",
            file=sys.stderr,
        )


def _percentiles(text: str | None) -> tuple[float, ...]:
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


def _names(image: Image, channels: tuple[int, ...]) -> tuple[str, ...]:
    """Names of channels as ends of column names: without tabs and line breaks, and none twice."""
    names = [" ".join(image.channels[channel].name.split()) or str(channel) for channel in channels]
    return tuple(
        name if names.count(name) == 1 else f"{name}-{channel}" for name, channel in zip(names, channels, strict=True)
    )
