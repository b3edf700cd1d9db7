"""From a request to a piece of an image: an OME-Zarr, one in a zip file, or an OME-TIFF."""

from __future__ import annotations

import os
from dataclasses import replace
from math import prod

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.cluster.resources import find_resources
from chunkwise.errors import InputError
from chunkwise.ngff.channels import omero_of
from chunkwise.ngff.layout import output_like
from chunkwise.ngff.volumes import EVERY, Selection, select
from chunkwise.ops.local import LocalVolumes, apply_locally
from chunkwise.ops.tiff import TiffCut, tiff_type, write_ome_tiff
from chunkwise.provenance.files import describe_file
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput
from chunkwise.running.inputs import Input, Inputs
from chunkwise.running.life import check_files, earlier_records, write_reports
from chunkwise.running.places import check_size
from chunkwise.running.planned import Planned
from chunkwise.running.request import Destination, Request, Result
from chunkwise.running.stores import StoreRun, fit_blocks
from chunkwise.storage.location import ZIP_NAMES
from chunkwise.storage.outputs import check_output_file

__all__ = ["run"]

#: Bytes that a worker takes before it reads a voxel: Python, NumPy, tensorstore.
BASE = 300 * 2**20


def run(request: Request) -> Result:
    """Fetch a piece; see :func:`chunkwise.running.run.run`."""
    values = request.values
    opened = request.open("image")
    selection = select(opened.image, values["level"], values["channel"] or EVERY, values["time"], values["region"])
    check_files(request)
    form = _format_of(request.to)
    sizes = ", ".join(f"{axis.name} {n}" for axis, n in zip(opened.image.axes, selection.cut_shape, strict=True))
    make = _to_tiff if form == "tiff" else _to_zarr
    return make(request, opened, selection, form, f"{sizes} voxels of {selection.level.dtype} in ")


def _format_of(to: Destination) -> str:
    name = (to.output or "").lower()
    if to.format or name.endswith(ZIP_NAMES):
        return to.format or "ozx"
    return "tiff" if name.endswith((".tif", ".tiff")) else "zarr"


def _bytes_of(selection: Selection) -> int:
    return prod(selection.cut_shape) * np.dtype(selection.source.dtype).itemsize


def _to_zarr(request: Request, opened: OpenedInput, selection: Selection, form: str, line: str) -> Result:
    image = opened.image
    labels = image.kind == "labels"
    if labels:  # which have to be integers
        selection = replace(selection, source=selection.source.as_numbers)
    source = selection.source
    dtype, size = source.dtype, np.dtype(source.dtype).itemsize

    def projected(grid: Grid) -> int:
        return projected_memory(grid, block=2 * size, unit=3 * size, base=BASE)

    grid, resources = fit_blocks(request, selection, projected)
    recorded = request.recorded(channel=selection.channel_names, format=form)
    output = output_like(
        selection,
        image.name or "image",
        dtype,
        labels=labels,
        shard=request.to.shard,
        pyramid=request.to.pyramid,
        omero=None if labels else omero_of(tuple(image.channels[c] for c in selection.channels), dtype),
        downsampling="nearest" if labels else "mean",
    )
    work = StoreRun(request, opened, selection, grid, recorded, output=output)
    far = (0,) * len(source.shape)
    volumes = LocalVolumes(source, grid, selection.channels, np.asarray, {}, far, False, dtype, {})
    with work.working(resources, output.n_volumes * grid.n_units) as job:
        apply_locally(volumes, output, job, name="copy")
        work.complete(output)
    return work.finish(output, [f"{line}{work.location.address}"])


def _to_tiff(request: Request, opened: OpenedInput, selection: Selection, form: str, line: str) -> Result:
    to, spread, image = request.to, request.spread, opened.image
    if to.to_workspace or to.output is None:
        raise InputError("--to-workspace takes OME-Zarr only; give the OME-TIFF a name with --output.")
    dtype = tiff_type(selection.source.dtype)
    check_size(request.site, _bytes_of(selection))
    check_output_file(to.output)
    output = os.path.abspath(to.output)
    # An OME-TIFF is one file, which this process writes.
    voxels = prod(selection.cut_shape)
    resources = find_resources(spread.workers, spread.memory, voxels, request.site, here=True)
    recorder = Recorder("fetch", request.recorded(channel=selection.channel_names, format=form))
    inputs = Inputs(recorder, [Input("image", opened, selection.level.path, selection.sources)])
    spatial = tuple(n for n, axis in zip(selection.level.chunks, image.axes, strict=True) if axis.type == "space")
    cut = TiffCut(
        name=image.name or "image",
        channels=selection.sources,
        channel_names=tuple(selection.channel_names),
        axes=image.axes,
        scale=selection.level.scale,
        translation=selection.translation,
        chunks=spatial,
    )
    if request.plan:
        blocks = {"shape": list(cut.shape), "block": None, "blocks": 1}
        written = {"bytes_written": _bytes_of(selection), "files": 1 + len(to.files)}
        raise Planned(
            request, selection.sources, replace(resources, needed=resources.memory_per_worker), 1, blocks | written
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
        "output", image.kind, output, media_type="image/tiff", description=description, **describe_file(output)
    )
    reference = write_reports(to, recorder.finish(), earlier_records(opened.records), image.kind, {})
    return Result(reference, (f"{line}{output}",))
