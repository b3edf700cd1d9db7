"""From a request to a table of objects."""

from __future__ import annotations

import os
import sys
from math import prod
from typing import Any

from chunkwise.blocks.job import Job
from chunkwise.errors import InputError
from chunkwise.ngff.match import match_image
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import EVERY, VolumeSource, select
from chunkwise.ops.columns import PERCENTILES, Column, choose, dictionary, table_columns
from chunkwise.ops.measure import Measured, columns, measure, memory_of
from chunkwise.ops.table import open_table
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput
from chunkwise.running.inputs import Input, Inputs
from chunkwise.running.labels import (
    check_labels,
    counted,
    named_object,
    reading_grid,
    report_remarks,
    where_words,
)
from chunkwise.running.life import LifeCycle, check_files
from chunkwise.running.request import Request, Result
from chunkwise.storage.outputs import write_atomically

__all__ = ["run"]

#: Objects that were too large are named up to this many.
NAMED = 20

MEDIA = {"tsv": "text/tab-separated-values", "parquet": "application/vnd.apache.parquet"}


def run(request: Request) -> Result:
    """Measure objects; see :func:`chunkwise.running.run.run`."""
    values, to = request.values, request.to
    percentiles = _percentiles(values["percentiles"])
    labels = request.open("labels")
    check_labels(labels.image, "give the label image with --labels and the image with --image")
    image = request.open("image") if "image" in request.inputs else None
    properties = choose(values["properties"], len(labels.image.spatial), image is not None)
    if image is None and (values["region"] or values["channel"] or values["same_voxels"]):
        raise InputError("--region, --channel and --same-voxels are about the image; give it with --image.")
    selection = select(labels.image, values["level"], None, _time_of_labels(values["time"], labels, image))
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
    check_files(request)
    image_type = sources[0].dtype if sources else None
    grid, resources = reading_grid(
        request,
        selection,
        lambda grid: memory_of(grid, selection.source.dtype, image_type, properties),
        prod(selection.cut_shape),
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
    output = os.path.abspath(to.output or "")
    form = to.format or ("parquet" if output.lower().endswith(".parquet") else "tsv")
    recorded = request.recorded(
        properties=list(properties),
        percentiles=list(percentiles),
        channel=list(names),
        format=form,
        block=list(grid.block),
    )
    layout = {
        "shape": list(grid.shape),
        "volumes": measured.labels.volumes,
        "unit": list(grid.unit),
        "block": list(grid.block),
    }
    work = LifeCycle(request, read, recorded, layout, recorded.keys() - {"workers", "memory", "block", "format"})
    wanted = table_columns(measured.objects, properties)
    with work.working(resources, measured.n_blocks) as job:
        count, too_large = _measure(measured, job, output, form, wanted, work.inputs)
        if "dictionary" in to.files:
            try:
                text = dictionary(wanted, geometry.units, labels.image.spatial)
                write_atomically(to.files["dictionary"], text.encode())
            except BaseException:
                os.unlink(output)  # it would be in the way of the same command, which is free to go on
                raise
    recorder = work.recorder
    recorder.result("objects", count)
    report_remarks(recorder, remarks)
    described = {"rows": count, "columns": [column.name for column in wanted]}
    recorder.output("output", "table", output, media_type=MEDIA[form], description=described)
    if "dictionary" in to.files:
        recorder.output("dictionary", "table", to.files["dictionary"], media_type=MEDIA["tsv"])
    if wanted[-1].of == "not_measured":
        _report_too_large(recorder, too_large)
    reference = work.close("table")
    if not count:
        return Result(
            reference, (f"No objects in {labels.image.location.address}: {to.output} has nothing but its header",)
        )
    lines = [f"{counted(count)}, {len(wanted)} columns in {to.output}"]
    if image is not None:
        where = f"level {read[-1].path} of {image.image.location.address}"
        lines.append(f"  intensities of {', '.join(names)} from {where}")
    return Result(reference, tuple(lines))


def _measure(
    measured: Measured, job: Job, output: str, form: str, wanted: list[Column], inputs: Inputs
) -> tuple[int, tuple[int, list[dict[str, Any]]]]:
    """Do the work and write the table; gives the number of objects, and those that were too large for memory."""
    count, large = 0, 0
    named: list[dict[str, Any]] = []
    with open_table(output, form, wanted) as table:
        for volume, rows in measure(measured, job):
            table.write(columns(measured, wanted, volume, rows))
            count += len(rows)
            if "not_measured" in (rows.dtype.names or ()):
                left_out = rows[rows["not_measured"] == 1]
                large += len(left_out)
                named += [_named(measured, volume, row) for row in left_out[: NAMED - len(named)]]
        inputs.check()
    return count, (large, named)


def _named(measured: Measured, volume: int, row: Any) -> dict[str, Any]:
    ends = zip(measured.axes, zip(row["first"].tolist(), (row["last"] + 1).tolist(), strict=True), strict=True)
    return named_object(measured.labels.first_time + volume, int(row["label"]), dict(ends), int(row["count"]))


def _report_too_large(recorder: Recorder, too_large: tuple[int, list[dict[str, Any]]]) -> None:
    """Name the objects whose boxes did not fit in memory, in the record and on standard error."""
    count, named = too_large
    recorder.result("not_measured", {"count": count, "first": named})
    if named:
        print(
            f"warning: {count} object{'s were' if count > 1 else ' was'} too large for --memory to be measured by "
            f"object, and what needs that is empty, with 1 in the column not_measured: {where_words(count, named)}. "
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


def _time_of_labels(time: str | None, labels: OpenedInput, image: OpenedInput | None) -> str | None:
    """``--time`` chooses time points of the labels, unless the image has others: then it says which the labels are."""
    return None if image is not None and _times(labels.image) != _times(image.image) else time


def _times(image: Image) -> int:
    return int(dict(zip(image.axis_names, image.levels[0].shape, strict=True)).get("t", 1))


def _names(image: Image, channels: tuple[int, ...]) -> tuple[str, ...]:
    """Names of channels as ends of column names: without tabs and line breaks, and none twice."""
    names = [" ".join(image.channels[channel].name.split()) or str(channel) for channel in channels]
    return tuple(
        name if names.count(name) == 1 else f"{name}-{channel}" for name, channel in zip(names, channels, strict=True)
    )
