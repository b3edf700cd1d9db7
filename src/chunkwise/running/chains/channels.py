"""An operation that makes channels of all channels of an image, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.model import Channel
from chunkwise.ngff.volumes import Selection
from chunkwise.operations.model import Image
from chunkwise.ops.mixed import MixedVolumes
from chunkwise.running.chains.local import BASE, check, selected
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.life import check_files
from chunkwise.running.request import Request, Result
from chunkwise.running.several import around
from chunkwise.running.stores import StoreRun, laid_out

if TYPE_CHECKING:
    from chunkwise.operations.model import Operation

__all__ = ["around", "renamed", "run", "selected"]


def run(request: Request) -> Result:
    """Mix channels; see :func:`chunkwise.running.run.run`."""
    operation, made, kernel = request.operation, request.operation.gives, request.operation.kernel
    assert isinstance(made, Image)
    assert kernel is not None
    opened = request.open("image")
    selection = selected(request, opened)
    check(request, selection)
    _check_count(operation, selection)
    source, own = selection.source, operation.own(request.values)
    dtype = made.dtype_of(source.dtype, own)
    channels = _channels(operation, selection, own)
    read, count = len(selection.channels), len(channels)
    item_in, item_out = (np.dtype(one).itemsize for one in (source.dtype, dtype))

    def projected(grid: Grid, threads: int = 1) -> int:
        # Channels one by one and in one array, the kernel's working set, its results, and as much where these are
        # encoded; units of all of them.
        outer = read * (2 * item_in + operation.working_bytes(own, item_in)) + 2 * count * item_out
        return projected_memory(grid, outer=outer, unit=(1 + count) * item_out, base=BASE, threads=threads)

    check_files(request)
    grid, resources = fit_blocks(request, selection, projected, threads=operation.threads)
    recorded = request.recorded(method=operation.name, channel=selection.channel_names)
    together = count if count > 1 or "c" in selection.image.axis_names else None
    output = laid_out(request, selection, dtype, channels, count=together)
    stacks = (selection.sources,)
    volumes = MixedVolumes(source, grid, selection.channels, dtype, kernel, own, together=count, stacks=stacks)
    work = StoreRun(request, opened, selection, grid, recorded, output=output)
    work.write(volumes, output, resources)
    names = ", ".join(channel.name for channel in channels)
    return work.finish(output, [work.written(output), f"  channels: {names}"])


def _check_count(operation: Operation, selection: Selection) -> None:
    """Refuse what are no colours."""
    count = len(selection.channels)
    if operation.mixes and count != operation.mixes:
        address, several = selection.image.location.address, f"{count} channels" if count > 1 else "one channel"
        advice = (
            "choose them with --channel, once for each" if len(selection.image.channels) > 2 else "give a colour image"
        )
        raise InputError(
            f"{address} has {several} here, and the {operation.phrase} takes three: red, green and blue, in this "
            f"order; {advice}."
        )


def _channels(operation: Operation, selection: Selection, own: Mapping[str, Any]) -> tuple[Channel, ...]:
    """The channels of the result: those that the operation makes, else those that are read, with their new names."""
    if operation.channels is not None:
        made = operation.channels(**own).items()
        return tuple(Channel(index, name, None, window) for index, (name, window) in enumerate(made))
    kept = tuple(selection.image.channels[channel] for channel in selection.channels)
    return renamed(kept, own["names"])


def renamed(channels: tuple[Channel, ...], text: str | None) -> tuple[Channel, ...]:
    """Give channels new names, or none where there is no text.

    Raises
    ------
    InputError
        If these are not as many, or cannot tell channels apart.
    """
    if text is None:
        return channels
    names = [name.strip() for name in text.split(",")]
    count = len(channels)
    if len(names) != count:
        raise InputError(
            f"--names '{text}' has {len(names)} name{'s' if len(names) > 1 else ''}, and the result has {count} "
            f"channel{'s' if count > 1 else ''}; give as many, separated by commas."
        )
    if "" in names or len(set(names)) < len(names):
        raise InputError(f"--names '{text}' has an empty name, or one twice; channels are told apart by them.")
    return tuple(replace(channel, name=name) for channel, name in zip(channels, names, strict=True))
