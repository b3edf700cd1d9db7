"""Several images on one grid: which is called what, what of each is read, and that their voxels are the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.memory import projected_memory
from chunkwise.errors import InputError
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.match import match_selections, region_of
from chunkwise.ngff.model import Channel
from chunkwise.ngff.volumes import EVERY, Selection, VolumeSource, select
from chunkwise.ops.expression import LETTERS
from chunkwise.ops.mixed import MixedVolumes
from chunkwise.reference import OpenedInput
from chunkwise.running.chains.local import BASE
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.inputs import Input
from chunkwise.running.labels import report_remarks
from chunkwise.running.life import check_files
from chunkwise.running.request import Around, Request
from chunkwise.running.stores import StoreRun, laid_out

__all__ = ["around", "on_one_grid", "open_all", "roles_of", "selected", "selections_of", "write_mixed"]


def roles_of(request: Request) -> dict[str, str]:
    """The roles that images were given for, by their letters; ``a`` is the first image."""
    return {"a" if role == "image" else role: role for role in request.operation.takes if role in request.inputs}


def open_all(request: Request) -> dict[str, OpenedInput]:
    """Open every image that was given, by its letter; errors as of :meth:`Request.open`."""
    return {letter: request.open(role) for letter, role in roles_of(request).items()}


def selections_of(request: Request, opened: Mapping[str, OpenedInput]) -> dict[str, Selection]:
    """Say what of each image is read; a channel may be chosen for all of them, or as in ``a=GFP`` for one.

    Raises
    ------
    InputError
        If what was asked for is not there.
    """
    values = request.values
    wanted: dict[str, list[str]] = {letter: [] for letter in opened}
    for one in values["channel"] or ():
        letter, equal, name = one.partition("=")
        if equal and letter in tuple(LETTERS) and letter not in opened:
            raise InputError(f"--channel {one} is of the image {letter}, which is not given.")
        for place in [letter] if equal and letter in opened else opened:
            wanted[place].append(name if equal and letter in opened else one)
    return {
        letter: select(
            side.image,
            values["level"],
            wanted[letter] or EVERY,
            values["time"],
            region_of(values["region"], opened["a"].image, side.image),
        )
        for letter, side in opened.items()
    }


def selected(request: Request, opened: OpenedInput) -> Selection:
    """What a preview shows: the first image."""
    return selections_of(request, {**open_all(request), "a": opened})["a"]


def around(_: Request, selection: Selection) -> Around:
    """What a preview reads around the part that it shows: nothing, because voxels are taken one by one."""
    return Around((0,) * len(selection.source.shape))


def on_one_grid(
    request: Request, chosen: Mapping[str, Selection]
) -> tuple[dict[str, tuple[VolumeSource, ...]], list[str]]:
    """Make sure that all have the voxels of the first, as :func:`chunkwise.ngff.match.match_selections`.

    Returns
    -------
    sources : dict
        By the letters, one for each channel; their volumes and boxes are those of the first image.
    remarks : list of str
        What was taken on trust.
    """
    sources, remarks = {}, []
    for letter, one in chosen.items():
        source, trusted = match_selections(chosen["a"], one, request.values["same_voxels"])
        sources[letter] = tuple(replace(source, channel=channel) for channel in one.channels)
        remarks += [remark for remark in trusted if letter != "a"]
    return sources, remarks


def write_mixed(
    request: Request,
    opened: Mapping[str, OpenedInput],
    chosen: Mapping[str, Selection],
    remarks: Sequence[str],
    kernel: Callable[..., Any],
    values: Mapping[str, Any],
    *,
    stacks: tuple[tuple[VolumeSource, ...], ...],
    channels: Sequence[Channel],
    dtype: str,
    **recorded: Any,
) -> tuple[StoreRun, OutputImage]:
    """Make an image of several, of which a kernel makes a channel for every stack, voxel by voxel.

    Parameters
    ----------
    request : Request
        What was asked for.
    opened, chosen : mapping
        As of :func:`open_all` and :func:`selections_of`.
    remarks : sequence of str
        What was taken on trust.
    kernel, values
        ``kernel(blocks, **values)``, which gives an array of one channel.
    stacks : tuple of tuple of VolumeSource
        Of each channel what it is made of, on the grid of the first image.
    channels : sequence of Channel
        Of the result.
    dtype : str
        Of the result.
    **recorded
        More for the record.
    """
    first, count = chosen["a"], len(stacks)
    item_in, item_out = sum(np.dtype(one.dtype).itemsize for one in stacks[0]), np.dtype(dtype).itemsize

    def projected(grid: Grid, threads: int = 1) -> int:
        # What is read, and the result, and as much where it is encoded; in between some voxels only are calculated.
        outer = 2 * (item_in + item_out)
        return projected_memory(grid, outer=outer, unit=2 * item_out, base=BASE, threads=threads)

    check_files(request)
    grid, resources = fit_blocks(request, first, projected, work=len(chosen), threads=True)
    named = [f"{letter}={name}" for letter, one in chosen.items() for name in one.channel_names]
    together = count if count > 1 or "c" in first.image.axis_names else None
    output = laid_out(request, first, dtype, channels, count=together)
    volumes = MixedVolumes(first.source, grid, first.channels, dtype, kernel, values, stacks=stacks, apart=True)
    others = [Input(one, opened[one], chosen[one].level.path, chosen[one].sources) for one in chosen if one != "a"]
    recorded = request.recorded(channel=named, **recorded)
    work = StoreRun(request, opened["a"], first, grid, recorded, output=output, others=others)
    work.write(volumes, output, resources)
    report_remarks(work.recorder, tuple(remarks))
    return work, output
