"""Channels of an image: how the ``omero`` block names and paints them. What of it is damaged counts as absent."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from chunkwise.ngff.model import Axis, Channel, Finding
from chunkwise.ngff.rules import is_number

__all__ = ["channels_of", "omero_of"]


def channels_of(
    axes: tuple[Axis, ...], shape: tuple[int, ...], omero: object, findings: list[Finding]
) -> tuple[Channel, ...]:
    """Name the channels of an image.

    Parameters
    ----------
    axes : tuple of Axis
        Of the image.
    shape : tuple of int
        Of its full resolution.
    omero : object
        The block as the store has it; the validation has said what of it breaks the specification.
    findings : list of Finding
        Remarks are added to it.

    Returns
    -------
    tuple of Channel
        One for each index of the channel axis; one where there is no such axis.
    """
    count = next((size for axis, size in zip(axes, shape, strict=True) if axis.name == "c"), 1)
    entries = omero.get("channels") if isinstance(omero, dict) else None
    entries = entries if isinstance(entries, list) else []
    if isinstance(omero, dict) and len(entries) != count:
        findings.append(Finding("warning", "omero.channels", f"describes {len(entries)} channels of {count}"))
    channels = []
    for index in range(count):
        entry = entries[index] if index < len(entries) and isinstance(entries[index], dict) else {}
        where = f"omero.channels[{index}]"
        channels.append(
            Channel(
                index=index,
                name=_name(entry.get("label")) or str(index),
                color=_color(entry.get("color"), f"{where}.color", findings),
                window=_window(entry.get("window")),
            )
        )
    return tuple(channels)


def omero_of(channels: tuple[Channel, ...], dtype: str) -> dict[str, Any] | None:
    """Make the omero block that carries names, colours and contrast of channels on.

    Parameters
    ----------
    channels : tuple of Channel
        Those of the cut.
    dtype : str
        Of the voxels; its range stands in where the contrast is not known.

    Returns
    -------
    dict or None
        None where the source says nothing about its channels.
    """
    if all(entry.color is None and entry.window is None and entry.name == str(entry.index) for entry in channels):
        return None
    kind = np.dtype(dtype)
    limits = (0.0, 1.0) if kind.kind in "fb" else (float(np.iinfo(kind).min), float(np.iinfo(kind).max))
    entries = []
    for entry in channels:
        start, end = entry.window or limits
        low, high = (start, end) if kind.itemsize == 8 and kind.kind in "iu" else limits  # no slider spans 64 bits
        window = {"min": min(start, low), "max": max(end, high), "start": start, "end": end}
        entries.append({"label": entry.name, "color": entry.color or "FFFFFF", "window": window, "active": True})
    return {"channels": entries}


def _name(label: Any) -> str:
    """A number is a name, too: SpatialData writes those."""
    return str(label) if isinstance(label, str) or (is_number(label) and isinstance(label, int)) else ""


def _color(color: Any, where: str, findings: list[Finding]) -> str | None:
    if not isinstance(color, str):
        return None
    found = re.fullmatch(r"#?([0-9a-fA-F]{6})", color)
    if found is None:
        message = f"is {color[:40]!r}, which is not six hexadecimal digits; the channel is treated as having no colour"
        findings.append(Finding("warning", where, message))
        return None
    return found.group(1).upper()


def _window(window: Any) -> tuple[float, float] | None:
    """Start and end, where both are there."""
    if not isinstance(window, dict):
        return None
    start, end = window.get("start"), window.get("end")
    return (float(start), float(end)) if is_number(start) and is_number(end) else None
