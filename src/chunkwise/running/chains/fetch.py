"""From a request to a piece of an image: an OME-Zarr, also one in a zip file, or a file of another format."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.ngff.layout import shard_of
from chunkwise.ngff.volumes import EVERY, Selection, select
from chunkwise.operations._part import FORMATS
from chunkwise.ops.check_copy import check_copy
from chunkwise.ops.local import apply_locally
from chunkwise.reference import OpenedInput
from chunkwise.running.beside import Carried, gather, left_of
from chunkwise.running.copying import copied, together_of, wide_block
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.life import check_files
from chunkwise.running.one_file import FILES, line_of, write_one_file
from chunkwise.running.request import Destination, Request, Result
from chunkwise.running.stores import StoreRun, laid_out
from chunkwise.storage.location import ZIP_NAMES

__all__ = ["bytes_of", "copy_to_store", "format_of", "run"]

#: Bytes that a worker takes before it reads a voxel: Python, NumPy, tensorstore.
BASE = 300 * 2**20


def run(request: Request) -> Result:
    """Fetch a piece; see :func:`chunkwise.running.run.run`."""
    values = request.values
    opened = request.open("image")
    selection = select(opened.image, values["level"], values["channel"] or EVERY, values["time"], values["region"])
    check_files(request)
    form = format_of(request.to)
    make = write_one_file if form in FILES else copy_to_store
    return make(request, opened, selection, form)


def format_of(to: Destination) -> str:
    """Say which format a result has, by what was asked for, else by its name; see ``operations/_part.py``."""
    name = (to.output or "").lower()
    if to.format or name.endswith(ZIP_NAMES):
        return to.format or "ozx"
    short = f"{name}f" if name.endswith(".tif") else name
    return next((form for form in FILES if short.endswith(FORMATS[form])), "zarr")


def bytes_of(selection: Selection) -> int:
    """Bytes of a selection's voxels."""
    return prod(selection.cut_shape) * np.dtype(selection.source.dtype).itemsize


def copy_to_store(
    request: Request,
    opened: OpenedInput,
    selection: Selection,
    form: str,
    attached: Mapping[str, bytes] | None = None,
    check: bool | None = None,
    whole: bool | None = None,
) -> Result:
    """Write a selection as an OME-Zarr of its own, voxels as they are.

    Parameters
    ----------
    request : Request
        What was asked for.
    opened : OpenedInput
        The image that is read.
    selection : Selection
        What of it.
    form : str
        ``zarr``, or ``ozx`` for one in a zip file.
    attached : mapping, optional
        Documents that go beside the image as they are, by their keys.
    check : bool, optional
        Whether all voxels are compared when they are written, where that is a question.
    whole : bool, optional
        Whether what hangs on the image goes along: labels, tables, other files and attributes; if not, it is said.
    """
    image = opened.image
    labels = image.kind == "labels"
    if labels:  # which have to be integers
        selection = replace(selection, source=selection.source.as_numbers)
    dtype = selection.source.dtype

    together = together_of(selection)

    def projected(dtype: str, together: int = 1) -> Callable[[Grid], int]:
        size = np.dtype(dtype).itemsize
        return lambda grid: projected_memory(grid, block=2 * together * size, unit=(together + 2) * size, base=BASE)

    shard = shard_of(selection.source.shape, request.to.shard)[1]
    usual = wide_block(selection, shard, together)
    grid, resources = fit_blocks(request, selection, projected(dtype, together), usual=usual)
    asked = {} if check is None else {"check": "yes" if check else "no"}
    recorded = request.recorded(channel=selection.channel_names, format=form, **asked)
    output = laid_out(
        *(request, selection, dtype, [image.channels[c] for c in selection.channels]),
        labels=labels,
        downsampling="nearest" if labels else "mean",
        attached=attached or {},
    )
    beside = left_of(image) if whole is False else Carried()
    if whole:
        beside, resources = gather(request, image, output, resources, projected)
        output = replace(output, carried=beside.attributes, attached={**output.attached, **beside.documents})
    work = StoreRun(request, opened, selection, grid, recorded, output=output, also=beside.also, beside=beside.state)
    volumes = copied(selection, grid, together)
    with work.working(resources, volumes.n_groups * grid.n_units + beside.blocks) as job:
        apply_locally(volumes, output, job, name="copy")
        beside.write(job)
        lines = [f"{line_of(selection)}{work.location.address}"]
        if check is False:
            lines.append("  voxels were not compared with those of the source; --check yes does it")
        if check:
            compared = check_copy(volumes, output, job)
            compared["voxels"] += beside.check(job)
            work.recorder.result("compared", compared)
            lines.append(f"  all {compared['voxels']} voxels were read again, and are equal to those of the source")
        work.complete(output)
    return work.finish(output, [*lines, *beside.tell(work.recorder)])
