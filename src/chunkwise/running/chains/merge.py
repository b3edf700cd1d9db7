"""From several images on one grid to one image, whose channels are theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.model import Channel
from chunkwise.ngff.volumes import Selection
from chunkwise.operations.channels.merge import leave
from chunkwise.report.pictures import CHANNEL_COLORS
from chunkwise.running.chains.channels import renamed
from chunkwise.running.chains.local import check
from chunkwise.running.request import Request, Result
from chunkwise.running.several import around, on_one_grid, open_all, selected, selections_of, write_mixed

__all__ = ["around", "run", "selected"]


def run(request: Request) -> Result:
    """Merge images; see :func:`chunkwise.running.run.run`."""
    values, opened = request.values, open_all(request)
    chosen = selections_of(request, opened)
    for selection in chosen.values():
        check(request, selection)
    _check_types(chosen)
    sources, remarks = on_one_grid(request, chosen)
    stacks = tuple((source,) for channels in sources.values() for source in channels)
    channels = _channels(chosen, values["names"], values["colors"])
    work, output = write_mixed(
        *(request, opened, chosen, remarks, leave, {}),
        stacks=stacks,
        channels=channels,
        dtype=chosen["a"].source.dtype,
        method=request.operation.name,
    )
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
