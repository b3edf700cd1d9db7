"""An operation that makes one plane, time point or channel of all of them, block by block."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.volumes import Selection
from chunkwise.operations.model import Image
from chunkwise.ops.stacks import StackedVolumes
from chunkwise.running.chains.local import BASE, check, selected
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.request import Around, Request, Result
from chunkwise.running.stores import StoreRun, laid_out

if TYPE_CHECKING:
    from chunkwise.reference import OpenedInput

__all__ = ["around", "run", "selected"]

#: What an axis is called.
WORDS = {"z": "planes", "t": "time points", "c": "channels"}


def run(request: Request) -> Result:
    """Apply the kernel along the axis; see :func:`chunkwise.running.run.run`."""
    operation, values = request.operation, request.values
    made, kernel, axis = operation.gives, operation.kernel, values["axis"]
    assert isinstance(made, Image)
    assert kernel is not None
    opened: OpenedInput = request.open("image")
    selection = selected(request, opened)
    check(request, selection)
    source, image, count = selection.source, selection.image, _count(selection, axis)
    less = _less(selection, axis)
    own = operation.own(values)
    dtype = made.dtype_of(source.dtype, own)
    item_in, item_out = (np.dtype(one).itemsize for one in (source.dtype, dtype))

    def projected(grid: Grid, threads: int = 1) -> int:
        # The stack, the kernel's working set and, of one block, sums and result.
        outer = int(count * (item_in + operation.working_bytes(own, item_in))) + 16 + item_out
        none = (0,) * len(grid.shape)
        return projected_memory(grid, outer=outer, reach=none, unit=2 * item_out, base=BASE, threads=threads)

    grid, resources = fit_blocks(request, less, projected, work=count, threads=operation.threads)
    recorded = request.recorded(method=operation.name, channel=selection.channel_names)
    channels = tuple(image.channels[c] for c in selection.channels)
    if dtype != source.dtype or made.contrast != "same" or axis == "c":
        window = (0.0, max(1.0, count - 1.0)) if made.contrast == "places" else None
        channels = tuple(replace(channel, window=window) for channel in channels)
    if axis == "c":  # one that is none of them
        channels = (replace(channels[0], name=f"{operation.name} of {count} channels", color=None),)
    output = laid_out(request, less, dtype, channels)
    volumes = StackedVolumes(source, grid, selection.channels, dtype, kernel, own, axis=axis)
    work = StoreRun(request, opened, less, grid, recorded, output=output, sources=selection.sources)
    work.write(volumes, output, resources)
    what = WORDS[axis] if count != 1 else WORDS[axis].removesuffix("s")
    lines = [f"{work.written(output)}, made of {count} {what}"]
    if axis not in image.axis_names:
        lines.append(f"{image.location.address} has no axis {axis}, so it was treated as having just one.")
    return work.finish(output, lines)


def around(request: Request, selection: Selection) -> Around:
    """What a preview reads: all planes; of other axes it reads one only."""
    axis = request.values["axis"]
    if axis != "z":
        raise InputError("Only a projection of planes (z) has a preview; write the result instead.")
    shape = selection.source.shape
    return Around(tuple(n if len(shape) == 3 and place == 0 else 0 for place, n in enumerate(shape)))


def _count(selection: Selection, axis: str) -> int:
    """How many planes, time points or channels there are."""
    source = selection.source
    planes = source.shape[0] if len(source.shape) == 3 else 1
    return {"z": planes, "t": source.volumes, "c": len(selection.channels)}[axis]


def _less(selection: Selection, axis: str) -> Selection:
    """The same, with the length 1 along the axis."""
    source = selection.source
    if axis == "t":
        return replace(selection, source=replace(source, volumes=1))
    if axis == "c":
        return replace(selection, channels=selection.channels[:1])
    return replace(
        selection, source=replace(source, shape=(1, *source.shape[1:]) if len(source.shape) == 3 else source.shape)
    )
