"""What an object is, put together from the options, from what the model said of its maps, and from the defaults."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from chunkwise.errors import InputError
from chunkwise.ngff.volumes import Selection, VolumeSource, select
from chunkwise.ngff.zarr_json import read_node
from chunkwise.ops.objects import METHODS, ObjectParameters
from chunkwise.reference import OpenedInput

__all__ = ["Told", "channels_of", "choose", "rays_from", "told_by_model"]

Told = dict[str, Any]


def _number(low: float, high: float = inf, whole: bool = False) -> tuple[Callable[[Any], bool], str]:
    kind: Any = int if whole else (int, float)
    bounds = f"{low:g} or more" if high == inf else f"between {low:g} and {high:g}"
    if low == -inf:
        bounds = "finite"
    return (
        lambda value: (
            isinstance(value, kind) and not isinstance(value, bool) and abs(value) != inf and low <= value <= high
        ),
        f"a {'whole ' if whole else ''}number, {bounds}",
    )


#: What each parameter may be, and how that is said.
ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "threshold": _number(-inf),
    "seed_threshold": _number(-inf),
    "min_distance": _number(1, 1000, whole=True),
    "min_size": _number(0, 2**62, whole=True),
    "flow_scale": _number(1e-6, 1e6),
    "steps": _number(1, 10000, whole=True),
    "sink_distance": _number(1, 1000, whole=True),
    "nms_threshold": _number(0, 1),
    "max_radius": _number(1, 4096, whole=True),
    "grid": _number(1, 64, whole=True),
    "fill_holes": (lambda value: isinstance(value, bool), "true or false"),
    "connectivity": _number(1, 3, whole=True),
}


def told_by_model(opened: OpenedInput) -> Told:
    """Read what ``chunkwise predict`` noted in the store of the maps: ``objects`` and ``model``; mostly nothing."""
    node = read_node(opened.image.location)
    told = node.attributes.get("chunkwise") if node else None
    return told if isinstance(told, dict) else {}


def choose(args: argparse.Namespace, told: Told, where: str, ndim: int) -> tuple[ObjectParameters, Told]:
    """Decide method and parameters: an option counts more than the model, the model more than the defaults.

    Parameters
    ----------
    args : argparse.Namespace
        Of the command.
    told : dict
        Of :func:`told_by_model`.
    where : str
        The maps, for errors.
    ndim : int
        Spatial axes.

    Returns
    -------
    parameters : ObjectParameters
        Complete.
    channels : dict
        Where the maps are, as far as somebody says: names or numbers of channels.

    Raises
    ------
    InputError
        If nobody says how, or something said makes no sense.
    """
    said = told.get("objects") or {}
    if not isinstance(said, dict):
        raise InputError(f"What {where} gives as 'objects' is not a table of settings; give --method.")
    method = said.get("method") if args.method == "auto" else args.method
    if method is None:
        raise InputError(
            f"{where} does not say how its maps become objects; give --method, one of {', '.join(METHODS)}."
        )
    if method not in METHODS:
        raise InputError(
            f"{where} asks for the method '{method}'; chunkwise knows {', '.join(METHODS)}: give --method."
        )
    known = METHODS[method]
    # What a model says of another method than the one that is asked for does not count.
    of_model = said if said.get("method") == method else {}
    values = dict(known.defaults)
    for name, value in _table(of_model, "parameters", where).items():
        if name not in values:
            raise InputError(f"{where} gives '{name}', which is not a parameter of the method {method}; give --method.")
        values[name] = _allowed(value, name, f"The value {value!r} that {where} gives as {name}")
    for name in ALLOWED:
        value = getattr(args, name)
        if value is None or value is False:
            continue
        option = f"--{name.replace('_', '-')}"
        if name not in values:
            others = ", ".join(f"--{other.replace('_', '-')}" for other in values)
            raise InputError(f"{option} is not an option of the method {method}, which has {others}.")
        values[name] = _allowed(value, name, f"{option} {value}")
    if "connectivity" in values and values["connectivity"] is None:
        values["connectivity"] = ndim
    if values.get("connectivity", 1) > ndim:
        raise InputError(
            f"--connectivity {values['connectivity']} has to lie between 1 and {ndim}, the number of axes."
        )
    return ObjectParameters(method, values), _table(of_model, "channels", where) | _asked(args.channels, method)


def _table(said: Told, name: str, where: str) -> Told:
    found = said.get(name) or {}
    if not isinstance(found, dict):
        raise InputError(f"What {where} gives as '{name}' of 'objects' is not a table of settings; give --method.")
    return found


def _allowed(value: Any, name: str, words: str) -> Any:
    test, meaning = ALLOWED[name]
    if isinstance(value, float) and value.is_integer() and "whole" in meaning:
        value = int(value)
    if not test(value):
        raise InputError(f"{words} has to be {meaning}.")
    return value


def _asked(text: str | None, method: str) -> Told:
    """Read ``foreground=0,boundary=1``."""
    asked: Told = {}
    for part in text.split(",") if text else ():
        name, mark, channel = (word.strip() for word in part.partition("="))
        if not mark or not channel or name not in METHODS[method].channels:
            known = ",".join(f"{name}=N" for name in METHODS[method].channels)
            raise InputError(f"--channels '{text}' is not what the method {method} needs: {known}.")
        asked[name] = channel
    return asked


def channels_of(
    opened: OpenedInput, parameters: ObjectParameters, said: Told, args: argparse.Namespace
) -> tuple[dict[str, VolumeSource], Selection]:
    """Find the maps among the channels; gives them by name, and the selection that the first one was found with.

    Raises
    ------
    InputError
        If a map is not there, or there is no number for it.
    """
    image = opened.image
    names = [name for name in METHODS[parameters.method].channels if name != "flow_z" or len(image.spatial) == 3]
    order = [name for name in ORDER[parameters.method] if name in names]
    found: dict[str, Selection] = {}
    for name in names:
        channel = said.get(name, order.index(name))
        if isinstance(channel, bool) or not isinstance(channel, int | str):
            raise InputError(f"{image.location.address} gives {channel!r} as the channel of '{name}'; give --channels.")
        try:
            found[name] = select(image, args.level, str(channel), args.time, args.region)
        except InputError as error:
            if "has no channel" not in str(error) or name in said:
                raise
            raise InputError(
                f"{image.location.address} has {len(image.channels) or 1} channel(s), and the method "
                f"{parameters.method} needs {', '.join(names)}; give --channels or another --method."
            ) from None
    return {name: selection.source for name, selection in found.items()}, found[names[0]]


def rays_from(opened: OpenedInput, channels: dict[str, VolumeSource]) -> tuple[VolumeSource, ...]:
    """The maps of distances: from the first one on, to the last channel that is not the probability.

    Raises
    ------
    InputError
        If they make no polygon, or the image is no plane.
    """
    image, first, other = opened.image, channels["distances"], channels["probability"].channel
    if len(image.spatial) != 2:
        raise InputError(
            f"{image.location.address} has the axes {image.spatial}, and StarDist's objects are made in 2-D only; "
            "cut planes out of it, or give maps of another --method."
        )
    count = dict(zip(image.axis_names, image.levels[0].shape, strict=True)).get("c", 1)
    rays = tuple(replace(first, channel=number) for number in range(first.channel, count) if number != other)
    if len(rays) < 3:
        raise InputError(
            f"{image.location.address} has distances along {len(rays)} ray(s) from channel {first.channel} on, and a "
            "polygon needs 3 or more; give --channels."
        )
    return rays


#: Where the maps are unless somebody says otherwise.
ORDER = {
    "threshold": ("foreground",),
    "foreground-boundary": ("foreground", "boundary"),
    "foreground-distance": ("foreground", "distance"),
    "flows": ("flow_z", "flow_y", "flow_x", "probability"),
    "stardist": ("probability", "distances"),
}
