"""From a request to labels drawn on an image: a picture of a plane, or an image of red, green and blue."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.cluster.resources import find_resources, size_words
from chunkwise.errors import InputError
from chunkwise.ngff.match import match_image, region_of
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import EVERY, Selection, VolumeSource, select
from chunkwise.provenance.files import describe_file
from chunkwise.provenance.record import Recorder
from chunkwise.report.paint import STRIP, Paint, PaintedVolumes
from chunkwise.report.pictures import CHANNEL_COLORS, READABLE, contrast, numbered, room_for_numbers, write_png
from chunkwise.running.chains.coloured import COUNTING, Coloured, check_coloured
from chunkwise.running.chains.fetch import BASE, format_of
from chunkwise.running.coarse import find_coarse
from chunkwise.running.fitting import check_chunks, fit_blocks
from chunkwise.running.inputs import Input, Inputs
from chunkwise.running.labels import check_labels, report_remarks, time_of_labels
from chunkwise.running.life import check_files, earlier_records, report_file
from chunkwise.running.planned import Planned
from chunkwise.running.request import Request, Result
from chunkwise.running.stores import StoreRun, laid_out
from chunkwise.storage.outputs import check_output_file

__all__ = ["run"]

#: Pixels of the longer side of a picture: where the level is chosen, and at most.
EDGE, LARGEST = 2048, 8192
#: Bytes of decoded chunks that the contrast is taken from.
MOST_FOR_CONTRAST = 2**28
#: What the result holds.
RED_GREEN_BLUE = {
    "channels": [
        {
            "label": name,
            "color": color,
            "window": {"min": 0.0, "max": 255.0, "start": 0.0, "end": 255.0},
            "active": True,
        }
        for name, color in (("red", "FF0000"), ("green", "00FF00"), ("blue", "0000FF"))
    ]
}


def run(request: Request) -> Result:
    """Draw labels on an image; see :func:`chunkwise.running.run.run`."""
    values, picture = request.values, format_of(request.to) == "png"
    opened, labels = request.open("image"), request.open("labels")
    check_labels(labels.image, "give the image first, and the label image with --labels")
    _check(values, picture)
    check_coloured(values, "table" in request.inputs)
    check_files(request)
    level = values["level"] or (_level(labels.image) if picture and values["region"] is None else "0")
    time = time_of_labels(values["time"], labels.image, opened.image)
    of_labels = select(labels.image, level, None, time, region_of(values["region"], opened.image, labels.image))
    channels = select(opened.image, 0, values["channel"] or EVERY).channels
    match = match_image(opened.image, of_labels, values["region"], values["time"], channels, values["same_voxels"])
    names = [str(channel) for channel in channels]
    chosen = select(opened.image, match.level.path, names, values["time"], values["region"])
    numbers = match.labels.as_numbers.seen(chosen.source.spatial)
    coloured = None
    if "table" in request.inputs:  # a picture is of one time point
        coloured = Coloured.of(request, replace(numbers, volumes=1) if picture else numbers)
    windows = _windows(chosen, values)
    colors = [opened.image.channels[c].color or CHANNEL_COLORS[c % len(CHANNEL_COLORS)] for c in channels]
    if len(set(colors)) < len(colors):  # a store that paints all channels alike says nothing by it
        colors = [CHANNEL_COLORS[c % len(CHANNEL_COLORS)] for c in range(len(channels))]
    paint = Paint(
        windows,
        tuple(colors),
        filled=values["style"] == "filled",
        outside=values["mode"] == "thick",
        width=values["width"],
        opacity=values["opacity"],
        color=values["color"],
        colormap=values["colormap"],
    )
    inputs = [
        Input("image", opened, chosen.level.path, chosen.sources),
        Input("labels", labels, of_labels.level.path, (of_labels.source,)),
    ]
    where = f"level {of_labels.level.path} of the labels, {chosen.level.path} of the image"
    drawn = (_picture if picture else _image)(request, inputs, chosen, numbers, paint, coloured, match.remarks)
    shown = "; ".join(
        f"{name}: black is {low:g}, white is {high:g}"
        for name, (low, high) in zip(chosen.channel_names, windows, strict=True)
    )
    colors = [] if coloured is None else [coloured.line]
    return replace(drawn, lines=(*drawn.lines, f"  {where}", f"  {shown}", *colors))


def _picture(
    request: Request,
    inputs: list[Input],
    chosen: Selection,
    labels: VolumeSource,
    paint: Paint,
    coloured: Coloured | None,
    remarks: tuple[str, ...],
) -> Result:
    """Draw one plane in this process."""
    to, source, values = request.to, chosen.source, request.values
    if to.to_workspace or to.output is None:
        raise InputError("--to-workspace takes OME-Zarr only; give a PNG a name with --output.")
    check_output_file(to.output)
    shape, planes = source.shape[-2:], source.shape[0] if len(source.shape) == 3 else 1
    plane = planes // 2 if values["z"] is None else values["z"]
    if plane >= planes:
        raise InputError(f"--z {plane} is not in the image, whose planes go from 0 to {planes - 1}.")
    if max(shape) > LARGEST:
        raise InputError(
            f"A PNG of {shape[1]} x {shape[0]} pixels is too large to look at; give a higher --level, a --region, or "
            "write an OME-Zarr instead."
        )
    resources = find_resources(request.spread.workers, request.spread.memory, prod(shape), request.site, here=True)
    check_chunks(chosen, resources)
    item = sum(np.dtype(one.dtype).itemsize for one in (*chosen.sources, labels))
    needed = BASE + prod(shape) * (2 * item + 12 + 64 * values["numbers"])
    if needed > resources.memory_per_worker:
        raise InputError(
            f"To draw this picture takes about {size_words(needed)}, and the process may use "
            f"{size_words(resources.memory_per_worker)}; give a higher --level, a --region or a larger --memory."
        )
    output = os.path.abspath(to.output)
    recorder = Recorder("overlay", request.recorded(channel=chosen.channel_names, format="png"))
    held = Inputs(recorder, inputs)
    if request.plan:
        written = {"bytes_written": prod(shape) * 3, "files": 1 + len(to.files)}
        expected = {"shape": [*shape, 3], "block": None, "blocks": 1} | written
        raise Planned(request, [*chosen.sources, labels], replace(resources, needed=needed), 1, expected)
    box = (*(slice(plane, plane + 1),) * (len(source.shape) - 2), *source.bounds[-2:])
    with held.held():
        images = [one.read(0, box).reshape(shape) for one in chosen.sources]
        objects = labels.read(0, box).reshape(shape)
        held.check()
    if values["numbers"] and (factor := READABLE // max(shape)) > 1:
        images, objects = ([_larger(one, factor) for one in images], _larger(objects, factor))
    if coloured is not None:
        paint = replace(paint, by=coloured.of_plane(objects, labels.first_time))
    drawn = paint.paint_strips(images, objects)
    if values["numbers"] and room_for_numbers(objects):
        drawn = numbered(drawn, np.maximum(objects, 0))
    elif values["numbers"]:  # they would hide the image and each other
        remarks += ("there are too many objects for their numbers to be read, so none are written; give a --region",)
    write_png(drawn, output)
    report_remarks(recorder, remarks)
    recorder.result("contrast", [list(one) for one in paint.windows])
    if coloured is not None:
        coloured.table.record(recorder)
        coloured.report(recorder)
    description = {"shape": [*drawn.shape], "dtype": "uint8"}
    recorder.output(
        "output", "picture", output, media_type="image/png", description=description, **describe_file(output)
    )
    records = earlier_records(*(one.opened.records for one in inputs))
    reference = report_file(to, recorder.finish(), records, "image")
    place = f"plane z {plane}, " if len(source.shape) == 3 else ""
    time = f"time point {source.first_time}, " if "t" in source.axes else ""
    return Result(reference, (f"{place}{time}{drawn.shape[1]} x {drawn.shape[0]} pixels in {to.output}",))


def _image(
    request: Request,
    inputs: list[Input],
    chosen: Selection,
    labels: VolumeSource,
    paint: Paint,
    coloured: Coloured | None,
    remarks: tuple[str, ...],
) -> Result:
    """Draw every plane of every time point, block by block."""
    source = chosen.source
    output = laid_out(request, chosen, "uint8", (), count=3, omero=RED_GREEN_BLUE)
    item = np.dtype(source.dtype).itemsize * len(chosen.channels) + np.dtype(labels.dtype).itemsize

    def projected(grid: Grid) -> int:
        far = (*(0,) * (len(grid.shape) - 2), paint.reach, paint.reach)
        strip = min(STRIP, grid.block[-2]) * grid.block[-1] / prod(grid.block)  # what is computed in floats
        outer = 2 * item + 3 * prod(grid.block[-2:]) / prod(grid.block) + (80 + 6 * item) * strip
        if coloured is not None:  # objects are counted first
            outer = max(outer, COUNTING * np.dtype(labels.dtype).itemsize)
        return projected_memory(grid, outer=outer, block=3, unit=6, reach=far, base=BASE)

    grid, resources = fit_blocks(request, chosen, projected)
    recorded = request.recorded(channel=chosen.channel_names, format=format_of(request.to))
    volumes = PaintedVolumes(
        *(source, grid, chosen.channels, "uint8"),
        together=3,
        labels=labels,
        paint=paint,
        tabled=None if coloured is None else coloured.volumes(labels, grid),
    )
    work = StoreRun(
        *(request, inputs[0].opened, chosen, grid, recorded),
        output=output,
        sources=inputs[0].sources,
        others=inputs[1:],
        beside="" if coloured is None else coloured.table.digest,
    )
    if coloured is not None:
        coloured.table.record(work.recorder)
    work.write(volumes, output, resources)
    report_remarks(work.recorder, remarks)
    work.recorder.result("contrast", [list(one) for one in paint.windows])
    if coloured is not None:
        coloured.report(work.recorder)
    return work.finish(output, [f"{work.written(output)}: red, green and blue"])


def _larger(plane: Any, factor: int) -> Any:
    return plane.repeat(factor, axis=0).repeat(factor, axis=1)


def _check(values: Any, picture: bool) -> None:
    """Refuse what means nothing, before anything is read."""
    if not picture and (values["numbers"] or values["z"] is not None):
        what = "--numbers writes" if values["numbers"] else "--z chooses the plane of"
        raise InputError(f"{what} a PNG only; name the result with .png, or leave it out.")
    if values["color"] is not None and not re.fullmatch("[0-9A-Fa-f]{6}", values["color"]):
        raise InputError(f"--color {values['color']} is not a colour; give six hexadecimal digits, such as FFD700.")
    black, white = values["black"], values["white"]
    if black is not None and white is not None and black >= white:
        raise InputError(f"--black {black:g} has to be below --white {white:g}.")


def _level(labels: Image) -> str:
    """The finest level that makes a picture of a readable size, else the smallest."""
    for level in labels.levels:
        sizes = dict(zip(labels.axis_names, level.shape, strict=True))
        if max(sizes["y"], sizes["x"]) <= EDGE:
            return level.path
    return labels.levels[-1].path


def _windows(chosen: Selection, values: Any) -> tuple[tuple[float, float], ...]:
    """What is shown as black and white: as was said, else the percentiles of a level that is small enough."""
    found = []
    for source in chosen.sources:
        low, high = values["black"], values["white"]
        if low is None or high is None:
            coarse = find_coarse(replace(chosen, source=source), MOST_FOR_CONTRAST)
            if coarse is None:
                raise InputError(
                    f"{chosen.image.location.address} has no level that is small enough to find its contrast; give "
                    "--black and --white."
                )
            black, white = contrast(coarse.voxels)
            low, high = black if low is None else low, white if high is None else high
            if low >= high:
                raise InputError(
                    f"The contrast would go from {low:g} to {high:g}; give both --black and --white, the first below "
                    "the second."
                )
        found.append((float(low), float(high)))
    return tuple(found)
