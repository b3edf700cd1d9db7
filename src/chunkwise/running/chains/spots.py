"""From a request to a table of spots."""

from __future__ import annotations

import os
from math import prod
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.volumes import Selection, select
from chunkwise.ops.columns import Column, value_type
from chunkwise.ops.spots import Spots, SpotVolumes, find_spots, memory_of
from chunkwise.ops.table import MEDIA, form_of, open_table
from chunkwise.running.chains.local import check
from chunkwise.running.inputs import Input
from chunkwise.running.labels import reading_grid
from chunkwise.running.life import LifeCycle, check_files
from chunkwise.running.request import Request, Result

__all__ = ["run"]


def run(request: Request) -> Result:
    """Find spots; see :func:`chunkwise.running.run.run`."""
    values, to = request.values, request.to
    opened = request.open("image")
    selection = select(opened.image, values["level"], values["channel"], values["time"], values["region"])
    source = selection.source
    check(request, selection)
    sigmas = _sigmas(values, len(source.shape))
    check_files(request)

    def volumes(grid: Any) -> SpotVolumes:
        return SpotVolumes(
            source,
            grid,
            method=values["method"],
            sigmas=sigmas,
            ratio=values["sigma_ratio"],
            distance=values["distance"],
            threshold=values["threshold"],
        )

    def projected(grid: Any) -> int:
        sought = volumes(grid)
        return memory_of(grid, source.dtype, sought.scales, sought.reach)

    grid, resources = reading_grid(request, selection, projected, prod(selection.cut_shape))
    output = os.path.abspath(to.output or "")
    form = to.format or form_of(output, places=True)
    recorded = request.recorded(channel=selection.channel_names[0], format=form, block=list(grid.block))
    layout = grid.layout(source.volumes)
    read = [Input("image", opened, selection.level.path, (source,))]
    # Share, border and overlap are looked at when all candidates are there: others go on from the same journal.
    late = {"workers", "memory", "block", "format", "relative", "border", "overlap"}
    work = LifeCycle(request, read, recorded, layout, recorded.keys() - late)
    columns = _columns(selection)
    with work.working(resources, source.volumes * grid.n_blocks) as job:
        found = find_spots(volumes(grid), values["relative"], values["border"], values["overlap"], job)
        work.inputs.check()
        with open_table(output, form, columns) as table:
            for volume, spots in enumerate(found):
                table.write(_rows(selection, columns, volume, spots, sum(len(one.places) for one in found[:volume])))
    counts = [len(one.places) for one in found]
    work.recorder.result("objects", counts)
    described = {"rows": sum(counts), "columns": [column.name for column in columns]}
    work.recorder.output("output", "table", output, media_type=MEDIA[form], description=described)
    reference = work.close("table")
    lines = [f"{sum(counts)} spot{'' if sum(counts) == 1 else 's'} in {to.output}, by {values['method']}"]
    if source.volumes > 1:
        lines += [f"  time point {source.first_time + time}: {count}" for time, count in enumerate(counts)]
    return Result(reference, tuple(lines))


def _sigmas(values: Any, ndim: int) -> tuple[float, ...]:
    """The sizes that are looked at, as scikit-image chooses them."""
    least, most = values["min_sigma"], values["max_sigma"]
    if values["method"] == "peaks":
        return (values["sigma"],)
    if least > most:
        raise InputError(f"--min-sigma {least:g} has to be no larger than --max-sigma {most:g}.")
    if values["method"] == "log":
        return tuple(np.linspace(least, most, values["num_sigma"]).tolist())
    ratio = values["sigma_ratio"]
    ends = (np.full(ndim, float(end)) for end in (most, least))
    count = int(np.mean(np.log(np.divide(*ends)) / np.log(ratio) + 1))
    return tuple(least * ratio**place for place in range(count + 1))


def _columns(selection: Selection) -> list[Column]:
    """Number, time point, place in voxels and in the image's units, size, response and intensity."""
    kept = value_type(selection.source.dtype)
    axes = selection.image.spatial
    kinds = {"label": "i8", "t": "i8", **dict.fromkeys(axes, "i8"), **{f"{axis}_physical": "f8" for axis in axes}}
    kinds |= {"sigma": "f8", "response": "f8", "intensity": kept}
    return [Column(name, name, kind) for name, kind in kinds.items()]


def _rows(selection: Selection, columns: list[Column], volume: int, spots: Spots, before: int) -> dict[str, Any]:
    source, geometry = selection.source, selection.geometry
    count = len(spots.places)
    rows: dict[str, Any] = {
        "label": np.arange(before + 1, before + count + 1),
        "t": np.full(count, source.first_time + volume),
        "sigma": spots.sigmas,
        "response": spots.responses,
        "intensity": spots.intensities,
    }
    for place, axis in enumerate(selection.image.spatial):
        rows[axis] = spots.places[:, place] + source.origin[place]
        rows[f"{axis}_physical"] = geometry.origin[place] + geometry.scale[place] * spots.places[:, place]
    return {column.name: rows[column.name] for column in columns}
