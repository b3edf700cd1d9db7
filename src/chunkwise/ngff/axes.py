"""Axes, normalised once; and the images that chunkwise does not work on, named."""

from __future__ import annotations

from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.model import AXIS_TYPES, Axis, Finding
from chunkwise.ngff.units import standard_unit
from chunkwise.ngff.zarr_json import ArrayInfo
from chunkwise.storage.location import Location

__all__ = ["normal_axes", "refuse_color_axes", "refuse_pixels"]

ORDER = "".join(AXIS_TYPES)
#: How writers name the axis of red, green and blue.
COLOR_AXES = ("rgb", "rgba", "color", "colour", "s", "sample", "samples")


def normal_axes(location: Location, entries: list[dict[str, Any]], findings: list[Finding]) -> tuple[Axis, ...]:
    """Turn validated axes into a part of ``tczyx``; what was adapted is added to the findings.

    Raises
    ------
    InputError
        If an axis or the order of the axes is none that chunkwise knows.
    """
    names = [_known_name(location, entry) for entry in entries]
    axes = []
    for index, (entry, known) in enumerate(zip(entries, names, strict=True)):
        where = f"multiscales[0].axes[{index}]"
        name = known if known is not None else _channel_instead(location, entry, names)
        given, kind = str(entry["name"]), entry.get("type")
        if known is None:
            message = f"is {given!r} of {_type_text(entry)}; each of its positions is read as a channel"
            findings.append(Finding("warning", where, message))
        elif name != given:
            findings.append(Finding("warning", f"{where}.name", f"is {given!r}, which is read as {name!r}"))
        if known is not None and kind is not None and kind != AXIS_TYPES[name]:
            message = f"is {kind!r}, which is read as {AXIS_TYPES[name]!r} by the name of the axis"
            findings.append(Finding("warning", f"{where}.type", message))
        axes.append(Axis(name, AXIS_TYPES[name], _normal_unit(entry, name, where, findings)))
    order = "".join(axis.name for axis in axes)
    if sorted(order, key=ORDER.index) != list(order) or len(set(order)) != len(order) or not order.endswith("yx"):
        raise InputError(
            f"{location.address} has the axes {', '.join(str(entry['name']) for entry in entries)}; chunkwise knows "
            "t, c, z, y, x in this order, of which only y and x are required."
        )
    return tuple(axes)


def refuse_color_axes(location: Location, multiscales: Any) -> None:
    """Refuse images whose last axis is the channel, in the words of their owner and before the specification's.

    Raises
    ------
    InputError
        If the pixels are interleaved colours. Malformed metadata are left to the validation.
    """
    try:
        last = multiscales[0]["axes"][-1]
        interleaved = last.get("type") == "channel" or str(last["name"]).lower() in ("c", *COLOR_AXES)
    except (LookupError, TypeError, AttributeError):
        return
    if interleaved:
        raise _rgb(location, f"its last axis '{last.get('name')}' holds the channels")


def _known_name(location: Location, entry: dict[str, Any]) -> str | None:
    """Tell which of ``tczyx`` an axis is: by its type, else by its name; None where neither tells."""
    kind, name = entry.get("type"), str(entry["name"])
    lower = name.lower()
    if lower in COLOR_AXES:
        raise _rgb(location, f"its axis '{name}' holds colours")
    if kind in ("time", "channel"):
        return str(kind)[0]
    if kind == "space" and AXIS_TYPES.get(lower) != "space":
        raise _unknown(location, entry)
    return lower if lower in AXIS_TYPES else None


def _channel_instead(location: Location, entry: dict[str, Any], names: list[str | None]) -> str:
    """Take an axis that is neither time nor space, such as an angle, for the channels, where there are no others."""
    if "c" in names or names.count(None) > 1:
        raise _unknown(location, entry)
    return "c"


def _unknown(location: Location, entry: dict[str, Any]) -> InputError:
    return InputError(
        f"{location.address} has an axis '{entry['name']}' of {_type_text(entry)}; chunkwise knows t (time), "
        "c (channel) and z, y, x (space)."
    )


def _type_text(entry: dict[str, Any]) -> str:
    return f"the type '{entry['type']}'" if entry.get("type") is not None else "no type"


def _normal_unit(entry: dict[str, Any], name: str, where: str, findings: list[Finding]) -> str | None:
    """Find the specification's name of a unit; None where there is none, which the validation has remarked."""
    unit, kind = entry.get("unit", entry.get("units")), AXIS_TYPES[name]
    if unit is None:
        return None
    if kind == "channel":
        findings.append(Finding("warning", f"{where}.unit", "is the unit of a channel axis, which has none"))
        return None
    if not isinstance(unit, str):
        findings.append(Finding("warning", f"{where}.unit", "is not text; the axis is treated as having no unit"))
        return None
    return standard_unit(unit, kind)


def refuse_pixels(location: Location, arrays: list[ArrayInfo], is_labels: bool, findings: list[Finding]) -> None:
    """Refuse data types that chunkwise does not compute with; a mask among label images is a remark.

    Raises
    ------
    InputError
        For RGB, complex, structured and other types that are not numbers, and for labels that are neither integers
        nor bool.
    """
    for array in arrays:
        if array.dtype.startswith("structured"):
            if {"r", "g", "b"} <= set(array.dtype.lower().translate(str.maketrans("(,)", "   ")).split()):
                raise _rgb(location, f"its voxels are {array.dtype}")
            raise InputError(f"{location.address} has {array.dtype} voxels, which chunkwise does not work on.")
        try:
            kind: str = np.dtype(array.dtype).kind
        except TypeError:
            kind = "?"
        if kind == "c":
            raise InputError(
                f"{location.address} has complex voxels ({array.dtype}), which chunkwise does not work on; "
                "store the magnitude or the phase as a separate image."
            )
        if kind not in "buif":
            raise InputError(f"{location.address} has voxels of type {array.dtype}, which chunkwise does not work on.")
        if is_labels and kind not in "bui":
            raise InputError(f"{location.address} is a label image of type {array.dtype}; labels have to be integers.")
    if is_labels and any(array.dtype == "bool" for array in arrays):
        rule = "is of type bool, and the specification requires integers for labels; it is read as a mask, one object"
        findings.append(Finding("warning", "image-label", rule))


def _rgb(location: Location, why: str) -> InputError:
    return InputError(
        f"{location.address} is an RGB image ({why}), which chunkwise does not work on; "
        "store the colours as channels, along an axis c."
    )
