"""What an object is, put together from the options, from what the model said of its maps, and from the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chunkwise.errors import InputError
from chunkwise.ngff.volumes import Selection, VolumeSource, select
from chunkwise.ngff.zarr_json import read_node
from chunkwise.operations.objects import SETTINGS
from chunkwise.ops.objects import METHODS, ObjectParameters
from chunkwise.reference import OpenedInput
from chunkwise.running.labels import check_connectivity

__all__ = ["Told", "channels_of", "choose", "rays_from", "told_by_model"]

Told = dict[str, Any]


def told_by_model(opened: OpenedInput) -> Told:
    """Read what ``chunkwise predict`` noted in the store of the maps: ``objects`` and ``model``; mostly nothing."""
    node = read_node(opened.image.location)
    told = node.attributes.get("chunkwise") if node else None
    return told if isinstance(told, dict) else {}


def choose(asked: Mapping[str, Any], told: Told, where: str, ndim: int) -> tuple[ObjectParameters, Told]:
    """Decide method and parameters: an option counts more than the model, the model more than the defaults.

    Parameters
    ----------
    asked : mapping
        Values of the operation.
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
    settings = told.get("objects") or {}
    if not isinstance(settings, dict):
        raise InputError(f"What {where} gives as 'objects' is not a table of settings; give --method.")
    method = settings.get("method") if asked["method"] == "auto" else asked["method"]
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
    of_model = settings if settings.get("method") == method else {}
    values = dict(known.defaults)
    for name, value in _table(of_model, "parameters", where).items():
        if name not in values:
            raise InputError(f"{where} gives '{name}', which is not a parameter of the method {method}; give --method.")
        values[name] = SETTINGS[name].accept(value, f"The value {value!r} that {where} gives as {name}")
    for name in SETTINGS:
        value = asked[name]
        if value is None or value is False:
            continue
        option = f"--{name.replace('_', '-')}"
        if name not in values:
            others = ", ".join(f"--{other.replace('_', '-')}" for other in values)
            raise InputError(f"{option} is not an option of the method {method}; its options are {others}.")
        values[name] = value
    if "connectivity" in values:
        values["connectivity"] = check_connectivity(values["connectivity"], ndim)
    return ObjectParameters(method, values), _table(of_model, "channels", where) | _asked(asked["channels"], method)


def _table(settings: Told, name: str, where: str) -> Told:
    found = settings.get(name) or {}
    if not isinstance(found, dict):
        raise InputError(f"What {where} gives as '{name}' of 'objects' is not a table of settings; give --method.")
    return found


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
    opened: OpenedInput, parameters: ObjectParameters, settings: Told, asked: Mapping[str, Any]
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
        channel = settings.get(name, order.index(name))
        if isinstance(channel, bool) or not isinstance(channel, int | str):
            raise InputError(f"{image.location.address} gives {channel!r} as the channel of '{name}'; give --channels.")
        try:
            found[name] = select(image, asked["level"], str(channel), asked["time"], asked["region"])
        except InputError as error:
            if "has no channel" not in str(error) or name in settings:
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
            f"{image.location.address} has the axes {image.spatial}, and StarDist's objects are 2-D only; cut out "
            "planes, or give maps for another --method."
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
