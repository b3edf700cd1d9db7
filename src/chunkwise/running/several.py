"""Several images on one grid: which is called what, what of each is read, and that their voxels are the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from chunkwise.errors import InputError
from chunkwise.ngff.match import match_selections, region_of
from chunkwise.ngff.volumes import EVERY, Selection, VolumeSource, select
from chunkwise.ops.expression import LETTERS
from chunkwise.reference import OpenedInput
from chunkwise.running.inputs import Input
from chunkwise.running.request import Around, Request

__all__ = ["around", "on_one_grid", "open_all", "others_of", "roles_of", "selected", "selections_of"]


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


def others_of(opened: Mapping[str, OpenedInput], chosen: Mapping[str, Selection]) -> list[Input]:
    """What is read beside the first image."""
    return [Input(one, opened[one], chosen[one].level.path, chosen[one].sources) for one in chosen if one != "a"]
