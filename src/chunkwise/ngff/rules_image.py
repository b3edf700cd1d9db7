"""Rules of the OME-Zarr specifications 0.4 and 0.5 for images and label images."""

from __future__ import annotations

from typing import Any

from chunkwise.ngff.model import AXIS_TYPES
from chunkwise.ngff.rules import Remarks, is_integer, is_number
from chunkwise.ngff.units import standard_unit

__all__ = ["check_image", "check_image_label", "check_labels_list"]

#: Where axes of a type stand; between time and space anything else may be.
ORDER = {"time": 0, "channel": 1, "space": 2}


def check_image(remarks: Remarks, block: dict[str, Any], version: str) -> None:
    """Check ``multiscales`` and ``omero``."""
    if remarks.has(block, "multiscales", ""):
        for entry, where in remarks.entries(block["multiscales"], "multiscales", 1, distinct=True):
            _check_multiscale(remarks, entry, where, version)
    if "omero" in block:
        _check_omero(remarks, block["omero"], version)


def _check_multiscale(remarks: Remarks, entry: Any, where: str, version: str) -> None:
    remarks.text(entry, "name", where)
    remarks.own_version(entry, version, where)
    remarks.recommends(entry, ["metadata", "type", "name"], where)
    count = None
    if remarks.has(entry, "axes", where):
        count = _check_axes(remarks, entry["axes"], f"{where}.axes")
    if "coordinateTransformations" in entry:
        _check_transformations(remarks, entry["coordinateTransformations"], f"{where}.coordinateTransformations", count)
    if not remarks.has(entry, "datasets", where):
        return
    paths = []
    for dataset, here in remarks.entries(entry["datasets"], f"{where}.datasets", 1):
        if remarks.has(dataset, "path", here):
            remarks.text(dataset, "path", here)
            if isinstance(dataset["path"], str):
                if dataset["path"] in paths:
                    remarks.error(f"{here}.path", f"names the level {dataset['path']!r} a second time")
                if dataset["path"].startswith("/"):
                    remarks.error(f"{here}.path", f"is {dataset['path']!r} and has to be relative to the group")
                paths.append(dataset["path"])
        if remarks.has(dataset, "coordinateTransformations", here):
            _check_transformations(
                remarks, dataset["coordinateTransformations"], f"{here}.coordinateTransformations", count
            )


def _check_axes(remarks: Remarks, axes: Any, where: str) -> int | None:
    """Return the number of axes, or None where they cannot be counted."""
    if not remarks.is_list(axes, where):
        return None
    if not 2 <= len(axes) <= 5:
        remarks.error(where, f"has {len(axes)} axes and has to have 2 to 5")
    remarks.distinct(axes, where)
    names: list[str] = []
    space, place = 0, 0
    for index, axis in enumerate(axes):
        here = f"{where}[{index}]"
        if not remarks.is_object(axis, here):
            continue
        if remarks.has(axis, "name", here):
            remarks.text(axis, "name", here)
            if isinstance(axis["name"], str):
                if axis["name"] in names:
                    remarks.error(f"{here}.name", f"names the axis {axis['name']!r} a second time")
                names.append(axis["name"])
        remarks.text(axis, "type", here)
        remarks.recommends(axis, ["type"], here)
        kind = axis.get("type")
        if kind in ("space", None):
            remarks.text(axis, "unit", here)
            # An axis without a type may be one of space: the rule counts it.
            space += 1
        if isinstance(kind, str):
            position = ORDER.get(kind, 1)
            if position < place:
                remarks.error(
                    here, f"is of type {kind!r} and comes too late: the order is time, then channel, then space"
                )
            place = max(place, position)
        _check_unit(remarks, axis, here)
    if not 2 <= space <= 3:
        what = "" if all(isinstance(axis, dict) and "type" in axis for axis in axes) else " or of no type"
        remarks.error(where, f"has {space} axes of type 'space'{what} and has to have 2 or 3")
    return len(axes)


def _check_unit(remarks: Remarks, axis: dict[str, Any], where: str) -> None:
    """Remark a unit of space or time that the specification does not list, and say what it is taken for."""
    if "units" in axis and "unit" not in axis:
        remarks.warning(
            f"{where}.units", "is not a key of the specification, which calls it 'unit'; it is read as that"
        )
    kind, unit = axis.get("type"), axis.get("unit", axis.get("units"))
    if not isinstance(kind, str) or kind not in ORDER:
        kind = AXIS_TYPES.get(str(axis.get("name")).lower())
    if not isinstance(unit, str) or kind not in ("space", "time"):
        return
    known = standard_unit(unit, kind)
    if known != unit:
        taken = "the axis counts as having no unit" if known is None else f"it is read as {known!r}"
        message = f"is {unit!r}, which is not among the units of {kind} of the specification; {taken}"
        remarks.warning(f"{where}.unit", message)


def _check_transformations(remarks: Remarks, entries: Any, where: str, count: int | None) -> None:
    if not remarks.is_list(entries, where, 1):
        return
    kinds = []
    for index, entry in enumerate(entries):
        here = f"{where}[{index}]"
        if not remarks.is_object(entry, here) or not remarks.has(entry, "type", here):
            continue
        kind = entry["type"]
        if kind not in ("scale", "translation"):
            remarks.error(f"{here}.type", f"is {kind!r} and has to be 'scale' or 'translation'")
            continue
        kinds.append(kind)
        if remarks.has(entry, kind, here):
            _check_vector(remarks, entry[kind], f"{here}.{kind}", count)
    if len(kinds) < len(entries):
        return  # said already, and a scale may be what it should have been
    if kinds.count("scale") != 1:
        remarks.error(where, f"has {kinds.count('scale')} scales and has to have exactly one")
    if kinds.count("translation") > 1:
        remarks.error(where, "has more than one translation")
    elif kinds == ["translation", "scale"]:
        remarks.error(where, "has its translation before its scale")


def _check_vector(remarks: Remarks, values: Any, where: str, count: int | None) -> None:
    if not remarks.is_list(values, where, 2):
        return
    if not all(is_number(value) for value in values):
        remarks.error(where, "has to be a list of numbers")
    elif count is not None and len(values) != count:
        remarks.error(where, f"has {len(values)} numbers for {count} axes")


def _check_omero(remarks: Remarks, omero: Any, version: str) -> None:
    if not remarks.is_object(omero, "omero") or not remarks.has(omero, "channels", "omero"):
        return
    for channel, here in remarks.entries(omero["channels"], "omero.channels"):
        for key in ("label", "family", "color"):
            remarks.text(channel, key, here)
        if "active" in channel and not isinstance(channel["active"], bool):
            remarks.error(f"{here}.active", "has to be true or false")
        if version == "0.4":
            remarks.has(channel, "color", here)
            remarks.has(channel, "window", here)
        if "window" in channel and remarks.is_object(channel["window"], f"{here}.window"):
            for key in ("start", "min", "end", "max"):
                remarks.has(channel["window"], key, f"{here}.window")
                remarks.number(channel["window"], key, f"{here}.window")


def check_image_label(remarks: Remarks, block: dict[str, Any], version: str) -> None:
    """Check ``image-label``, the part that says what label values mean."""
    label = remarks.block(block, "image-label", version)
    if label is None:
        return
    remarks.own_version(label, version, "image-label")
    remarks.recommends(label, ["colors"], "image-label")
    for key in ("colors", "properties"):
        if key not in label:
            continue
        for entry, here in remarks.entries(label[key], f"image-label.{key}", 1, distinct=True):
            if not remarks.has(entry, "label-value", here):
                continue
            if key == "colors":
                remarks.number(entry, "label-value", here)
                if "rgba" in entry:
                    _check_rgba(remarks, entry["rgba"], f"{here}.rgba")
            else:
                remarks.integer(entry, "label-value", here)
    if "source" in label and remarks.is_object(label["source"], "image-label.source"):
        remarks.text(label["source"], "image", "image-label.source")


def _check_rgba(remarks: Remarks, rgba: Any, where: str) -> None:
    if not isinstance(rgba, list) or len(rgba) != 4 or not all(is_integer(v) and 0 <= v <= 255 for v in rgba):
        remarks.error(where, "has to be four whole numbers from 0 to 255")


def check_labels_list(remarks: Remarks, block: dict[str, Any]) -> None:
    """Check the ``labels`` group, which lists the label images."""
    if remarks.has(block, "labels", "") and remarks.is_list(block["labels"], "labels"):
        for index, name in enumerate(block["labels"]):
            if not isinstance(name, str) or not name:
                remarks.error(f"labels[{index}]", "has to be text")
