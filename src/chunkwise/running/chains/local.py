"""An operation that is declared by its kernel: every channel and time point of an image, block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.channels import omero_of
from chunkwise.ngff.layout import output_like
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.operations.model import KINDS, Image
from chunkwise.ops.local import LocalVolumes, apply_locally
from chunkwise.running.life import check_files
from chunkwise.running.request import Request, Result
from chunkwise.running.stores import StoreRun, fit_blocks

if TYPE_CHECKING:
    from chunkwise.operations.model import Operation

__all__ = ["run"]

#: Bytes that a worker takes before it reads a voxel, with NumPy, SciPy and what reads arrays (measured: 280 MB).
BASE = 290 * 10**6


def run(request: Request) -> Result:
    """Apply the kernel; see :func:`chunkwise.running.run.run`."""
    operation, values = request.operation, request.values
    made, kernel = operation.gives, operation.kernel
    assert isinstance(made, Image)
    assert kernel is not None
    opened = request.open("image")
    selection = select(opened.image, values["level"], values["channel"] or EVERY, values["time"], values["region"])
    source, image = selection.source, opened.image
    if operation.needs and values["planes"]:
        raise InputError(
            f"The {operation.phrase} looks at a whole volume first and cannot treat each plane alone; leave out "
            "--planes."
        )
    _check_kind(operation, source.dtype, image.location.address)
    if opened.image.kind == "labels" and isinstance(operation.takes["image"], Image):
        raise InputError(
            f"{image.location.address} is a label image, whose numbers are names of objects, and the "
            f"{operation.phrase} takes intensities."
        )
    own = operation.own(values)
    far = operation.reach_of(own, len(source.shape))
    reach = tuple(0 if values["planes"] and axis < len(far) - 2 else r for axis, r in enumerate(far))
    dtype = source.dtype if made.dtype == "same" else made.dtype
    item_in, item_out = (np.dtype(one).itemsize for one in (source.dtype, dtype))

    def projected(grid: Grid, threads: int = 1) -> int:
        # Voxels with their halo, the kernel's working set, and its result, which is as large; the unit.
        outer = item_in * (2 + operation.working_set) + item_out
        return projected_memory(grid, outer=outer, reach=reach, unit=2 * item_out, base=BASE, threads=threads)

    check_files(request)
    grid, resources = fit_blocks(request, selection, projected, threads=operation.threads)
    _check_reach(operation, reach, grid, fixed=request.spread.block is not None)
    recorded = request.recorded(method=operation.name, channel=selection.channel_names)
    channels = tuple(image.channels[c] for c in selection.channels)
    if made.dtype != "same":  # the contrast was that of other voxels; names and colours stay
        channels = tuple(replace(channel, window=None) for channel in channels)
    output = output_like(
        selection,
        image.name or "image",
        dtype,
        shard=request.to.shard,
        pyramid=request.to.pyramid,
        downsampling=made.downsampling,
        omero=omero_of(channels, dtype),
    )
    channels_read, planes = selection.channels, values["planes"]
    volumes = LocalVolumes(source, grid, channels_read, kernel, own, reach, planes, dtype, operation.needs)
    work = StoreRun(request, opened, selection, grid, recorded, output=output)
    with work.working(resources, output.n_volumes * grid.n_units) as job:
        found = apply_locally(volumes, output, job)
        if found:
            known = [{name: np.asarray(one).item() for name, one in each.items()} for each in found]
            work.recorder.result("statistics", known)
        work.complete(output)
    sizes = ", ".join(f"{axis.name} {n}" for axis, n in zip(output.axes, output.shape, strict=True))
    return work.finish(output, [f"{sizes} voxels of {dtype} in {work.location.address}"])


def _check_kind(operation: Operation, dtype: str, address: str) -> None:
    """Refuse voxels that the operation does not take."""
    takes, kind = operation.takes["image"].kinds, np.dtype(dtype).kind
    if kind not in takes or dtype == "float16":
        known = ", ".join(words for letter, words in KINDS.items() if letter in takes)
        raise InputError(f"{address} holds {dtype} voxels, and the {operation.phrase} takes {known}.")


def _check_reach(operation: Operation, reach: tuple[int, ...], grid: Grid, fixed: bool) -> None:
    """Refuse blocks that are smaller than what the operation looks at around each: nearly all would be halo."""
    for far, block, size in zip(reach, grid.block, grid.shape, strict=True):
        if far > block and block < size:
            change = "a larger --block" if fixed else "a larger --memory or --shard"
            raise InputError(
                f"The {operation.phrase} looks {'x'.join(map(str, reach))} voxels around each voxel, which is "
                f"more than the blocks of {'x'.join(map(str, grid.block))} voxels hold; give {change}, or parameters "
                "that reach less far."
            )
