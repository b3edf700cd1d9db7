"""From a request to objects that are made of a model's maps."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.errors import InputError
from chunkwise.ngff.volumes import Selection, VolumeSource
from chunkwise.ops import star_passes
from chunkwise.ops.objects import ObjectParameters, find_objects, memory_of
from chunkwise.ops.write_labels import LabelResult
from chunkwise.reference import OpenedInput
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.labels import by_time, followed, report_unsplit
from chunkwise.running.life import check_files
from chunkwise.running.object_options import channels_of, choose, rays_from, told_by_model
from chunkwise.running.request import Around, Request, Result
from chunkwise.running.stores import StoreRun

__all__ = ["around", "run", "selected"]


def run(request: Request) -> Result:
    """Make objects; see :func:`chunkwise.running.run.run`."""
    opened = request.open("image")
    image, told = opened.image, told_by_model(opened)
    parameters, said = choose(request.values, told, image.location.address, len(image.spatial))
    channels, selection = channels_of(opened, parameters, said, request.values)
    source, method = selection.source, parameters.method
    _check_values(source.dtype, parameters, image.location.address)
    rays = rays_from(opened, channels) if method == "stardist" else ()
    check_files(request)

    def projected(grid: Grid) -> int:
        if rays:
            return star_passes.memory_of(grid, source.dtype, len(rays), parameters.values["max_radius"])
        return memory_of(grid, source.dtype)

    grid, resources = fit_blocks(request, selection, projected)
    # Parameters of other methods are left out, so that the record says what was done and nothing else.
    recorded = {name: value for name, value in request.recorded().items() if value is not None}
    recorded |= parameters.values | {
        "method": method,
        "channels": ",".join(f"{name}={source.channel}" for name, source in channels.items()),
    }
    if isinstance(told.get("model"), dict):
        recorded["model"] = " ".join(str(told["model"].get(name, "")) for name in ("id", "sha256")).strip()
    read = (*channels.values(), *rays)
    work = StoreRun(request, opened, selection, grid, recorded, sources=read)
    with work.working(resources, grid.n_blocks * source.volumes) as job:
        result: LabelResult
        if rays:
            result = stars = star_passes.find_stars(channels, rays, grid, parameters, work.label_image, job)
        else:
            result = find_objects(channels, grid, parameters, work.label_image, job)
        work.complete(result.output)
    work.recorder.result("objects", result.counts)
    if rays:
        _report_left_out(work, stars, source, parameters.values["max_radius"])
    else:
        report_unsplit(work, result, source.first_time, image.spatial)
    lines = by_time(result.counts, f"{work.location.address}, by {method}", source.first_time)
    return work.finish(result.output, lines)


def selected(request: Request, opened: OpenedInput) -> Selection:
    """What is read of the first map."""
    image, told = opened.image, told_by_model(opened)
    parameters, said = choose(request.values, told, image.location.address, len(image.spatial))
    return channels_of(opened, parameters, said, request.values)[1]


def around(request: Request, selection: Selection) -> Around:
    """What a preview reads around the part that it shows."""
    ndim, told = len(selection.source.shape), told_by_model(request.open("image"))
    parameters, _ = choose(request.values, told, selection.image.location.address, ndim)
    return followed((0,) * ndim, least=parameters.values.get("max_radius", 0))


def _report_left_out(work: StoreRun, stars: Any, source: VolumeSource, max_radius: int) -> None:
    """Count the pixels whose polygon is too large, and name the largest, in the record and on standard error."""
    named = []
    for volume, entry in enumerate(stars.left_out):
        if entry["count"]:
            place = [int(i) for i in np.unravel_index(entry["place"], source.shape)]
            known = {"count": entry["count"], "largest_radius": entry["radius"], "place": place}
            named.append({"time": source.first_time + volume, **known})
    work.recorder.result("left_out", named)
    work.recorder.result("rounds", stars.rounds)
    if named:
        one = max(named, key=lambda entry: entry["largest_radius"])
        total = sum(entry["count"] for entry in named)
        print(
            f"warning: the polygons of {total} pixel{'s' if total != 1 else ''} reach farther than --max-radius "
            f"{max_radius} and were left out: the largest reaches {one['largest_radius']} pixels, from pixel "
            f"{one['place'][0]},{one['place'][1]} of time point {one['time']}. A larger --max-radius includes them.",
            file=sys.stderr,
        )


def _check_values(dtype: str, parameters: ObjectParameters, address: str) -> None:
    """Refuse maps that cannot mean what the method needs."""
    if dtype == "uint8" and parameters.method in ("flows", "stardist"):
        raise InputError(
            f"{address} holds uint8 voxels, which stand for 0 to 1, and the method {parameters.method} also needs "
            "other numbers: write the maps as float16 or float32."
        )
    threshold = parameters.values["threshold"]
    if dtype == "uint8" and not 0 <= threshold <= 1:
        raise InputError(
            f"{address} holds uint8 voxels, which stand for 0 to 1; --threshold {threshold:g} is outside that range."
        )
