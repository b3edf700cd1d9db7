"""From several images on one grid to one image, whose channels are theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.channels import omero_of
from chunkwise.ngff.layout import output_like
from chunkwise.ngff.model import Channel
from chunkwise.ngff.volumes import Selection
from chunkwise.operations.channels.merge import leave
from chunkwise.ops.local import apply_locally
from chunkwise.ops.mixed import MixedVolumes
from chunkwise.report.pictures import CHANNEL_COLORS
from chunkwise.running.chains.channels import renamed
from chunkwise.running.chains.local import BASE, check
from chunkwise.running.labels import report_remarks
from chunkwise.running.life import check_files
from chunkwise.running.request import Request, Result
from chunkwise.running.several import around, on_one_grid, open_all, others_of, selected, selections_of
from chunkwise.running.stores import StoreRun, fit_blocks

__all__ = ["around", "run", "selected"]


def run(request: Request) -> Result:
    """Merge images; see :func:`chunkwise.running.run.run`."""
    values, opened = request.values, open_all(request)
    chosen = selections_of(request, opened)
    for selection in chosen.values():
        check(request, selection)
    first, dtype = chosen["a"], chosen["a"].source.dtype
    _check_types(chosen)
    sources, remarks = on_one_grid(request, chosen)
    stacks = tuple((source,) for channels in sources.values() for source in channels)
    channels = _channels(chosen, values["names"], values["colors"])
    item = np.dtype(dtype).itemsize

    def projected(grid: Grid, threads: int = 1) -> int:
        # One channel at a time: what is read, which is the result, and as much where it is encoded.
        return projected_memory(grid, outer=4 * item, unit=2 * item, base=BASE, threads=threads)

    check_files(request)
    grid, resources = fit_blocks(request, first, projected, work=len(chosen), threads=True)
    named = [f"{letter}={name}" for letter, one in chosen.items() for name in one.channel_names]
    recorded = request.recorded(method=request.operation.name, channel=named)
    output = output_like(
        first,
        first.image.name or "image",
        dtype,
        channels=len(channels),
        shard=request.to.shard,
        pyramid=request.to.pyramid,
        downsampling="nearest" if dtype == "bool" else "mean",
        omero=omero_of(channels, dtype),
    )
    none = (0,) * len(grid.shape)
    volumes = MixedVolumes(
        first.source, grid, first.channels, leave, {}, none, False, dtype, {}, stacks=stacks, apart=True
    )
    work = StoreRun(request, opened["a"], first, grid, recorded, output=output, others=others_of(opened, chosen))
    with work.working(resources, volumes.n_groups * grid.n_units) as job:
        apply_locally(volumes, output, job)
        work.complete(output)
    report_remarks(work.recorder, tuple(remarks))
    said = ", ".join(f"{channel.name} ({channel.color})" for channel in channels)
    return work.finish(output, [work.written(output), f"  channels: {said}"])


def _check_types(chosen: Mapping[str, Selection]) -> None:
    """Refuse images of different voxel types: an image has one, and a cast that nobody asked for may lose values."""
    types = {letter: one.source.dtype for letter, one in chosen.items()}
    for letter, dtype in types.items():
        if dtype != types["a"]:
            widest = str(np.result_type(dtype, types["a"]))
            raise InputError(
                f"The first image holds {types['a']} voxels and the image {letter} {dtype}, and channels of one image "
                f"have one type; convert first: 'chunkwise intensity --method cast --dtype {widest}'."
            )


def _channels(chosen: Mapping[str, Selection], names: str | None, colors: str | None) -> tuple[Channel, ...]:
    """The channels of the result, with their names, colours and contrast.

    One without a name is called by its number, and that is another one here.
    """
    found: list[Channel] = []
    for one in chosen.values():
        for index in one.channels:
            channel = one.image.channels[index]
            name = str(len(found)) if channel.name == str(channel.index) else channel.name
            found.append(replace(channel, index=len(found), name=name))
    known = [channel.name for channel in found]
    twice = next((name for name in known if known.count(name) > 1), None)
    if twice is not None and names is None:
        raise InputError(
            f"Several of the {len(known)} channels are called {twice}, and channels are told apart by their names; "
            f"give all of them new ones with --names, separated by commas."
        )
    made = renamed(tuple(found), names)
    painted = [channel.color or "" for channel in made] if colors is None else _colors(colors, len(made))
    if colors is None and ("" in painted or len(set(painted)) < len(painted)):
        painted = [CHANNEL_COLORS[place % len(CHANNEL_COLORS)] for place in range(len(made))]
    return tuple(replace(channel, color=color) for channel, color in zip(made, painted, strict=True))


def _colors(text: str, count: int) -> list[str]:
    """Read colours."""
    found = [one.strip().upper() for one in text.split(",")]
    if len(found) != count or not all(re.fullmatch("[0-9A-F]{6}", one) for one in found):
        raise InputError(
            f"--colors '{text}' has to be {count} colours, one for each channel, of six hexadecimal digits each, "
            "separated by commas, such as 00FF00,FF00FF."
        )
    return found
