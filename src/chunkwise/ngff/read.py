"""Opening a store: its metadata are read, validated and normalised; no voxel is touched.

This is the door: behind it, axes are ``tczyx`` or a part of it in that order, units have the
specification's names, and every level has one scale and translation.
"""

from __future__ import annotations

import os
import re
from typing import Any

from chunkwise.errors import InputError
from chunkwise.ngff.axes import normal_axes, refuse_color_axes, refuse_pixels
from chunkwise.ngff.model import Axis, Channel, Collection, Finding, Image, Level, Plate, Store, Well
from chunkwise.ngff.validation import VERSIONS, ome_block, validate
from chunkwise.ngff.zarr_json import Node, read_node
from chunkwise.storage.kv import list_keys
from chunkwise.storage.location import Location

__all__ = ["open_image", "open_store"]

LAYOUT = "bioformats2raw.layout"


def open_store(location: Location) -> Store:
    """Open an image, a label image, a plate or a bioformats2raw collection.

    Raises
    ------
    InputError
        If it is none of these, if it breaks the specification, or if chunkwise cannot work on it.
    PolicyError
        If its metadata name a place that the policy does not allow.
    """
    node = _read_group(location)
    version = _version(node)
    block = ome_block(node.attributes, version)
    if not isinstance(block, dict):
        raise _broken(location, version, validate(node.attributes, "image", version))
    if "plate" in block:
        return _open_plate(node, block, version)
    if "multiscales" in block:
        return _open_multiscale(node, block, version)
    if LAYOUT in block:
        return _open_collection(node, version)
    raise InputError(_say_what_it_is(location, block))


def open_image(location: Location) -> Image:
    """Open one image or label image.

    A collection of one image stands for that image.

    Raises
    ------
    InputError
        As :func:`open_store`; also for a plate and for a collection of several images, with their paths.
    PolicyError
        If its metadata name a place that the policy does not allow.
    """
    store = open_store(location)
    if isinstance(store, Image):
        return store
    if isinstance(store, Plate):
        paths = [f"{well.path}/{field}" for well in store.wells for field in well.fields]
        raise InputError(
            f"{location.address} is a plate; give the path of one of its fields: {_listed(paths) or 'it has none'}."
        )
    if len(store.series) != 1:
        raise InputError(
            f"{location.address} holds {len(store.series)} images; give the path of one of them: "
            f"{_listed(list(store.series))}."
        )
    return open_image(location.child(store.series[0]))


def _read_group(location: Location) -> Node:
    node = read_node(location)
    if node is None:
        raise InputError(_say_not_zarr(location))
    if node.array is not None:
        parent = location.address.rstrip("/").rpartition("/")[0]
        raise InputError(
            f"{location.address} is a single array, not an OME-Zarr image; give the group that describes it, "
            f"which is often {parent}, and choose the resolution with --level."
        )
    return node


def _say_not_zarr(location: Location) -> str:
    address = location.address
    if location.is_url:
        if location.s3 is not None:
            list_keys(location, "zarr.json")  # says so where there is no such bucket
        return f"{address} is not a Zarr store: neither zarr.json nor .zgroup can be read there."
    if not os.path.exists(address):
        return f"There is nothing at {address}."
    if not os.path.isdir(address):
        return f"{address} is a file, not a Zarr store (which is a directory)."
    inside = sorted(name for name in os.listdir(address) if name.endswith(".zarr"))
    hint = f"; it contains {_listed(inside)}: give the path of one of them" if inside else ""
    return f"{address} is not a Zarr store: it has neither zarr.json nor .zgroup{hint}."


def _say_what_it_is(location: Location, block: dict[str, Any]) -> str:
    address = location.address
    if "well" in block:
        images = block["well"].get("images", []) if isinstance(block["well"], dict) else []
        fields = [str(entry.get("path")) for entry in images if isinstance(entry, dict)]
        return f"{address} is a well of a plate; give the path of one of its fields: {_listed(fields)}."
    if isinstance(block.get("labels"), list):
        names = _listed([str(name) for name in block["labels"]])
        return f"{address} is a list of label images; give the path of one of them: {names or 'it is empty'}."
    if "series" in block:
        return f"{address} describes a collection of images; give the path of the folder above it."
    return f"{address} is a Zarr store but not an OME-Zarr: its metadata name no multiscales, plate or collection."


def _listed(names: list[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _version(node: Node) -> str:
    """Find the version that the metadata say they follow."""
    address, attributes = node.location.address, node.attributes
    if node.zarr_format == 3:
        ome = attributes.get("ome")
        if ome is None:
            old = " (metadata of version 0.4 need Zarr v2)" if "multiscales" in attributes else ""
            raise InputError(f"{address} is a Zarr store but not an OME-Zarr: its attributes have no 'ome' block{old}.")
        version = ome.get("version") if isinstance(ome, dict) else None
        if isinstance(version, str) and version != "0.5":
            raise InputError(f"{address} says OME-Zarr version {version} in Zarr v3; chunkwise reads {_known()}.")
        return "0.5"
    if "ome" in attributes and "multiscales" not in attributes:
        raise InputError(f"{address} has metadata of OME-Zarr 0.5 in Zarr v2; the specification wants Zarr v3 for it.")
    first = attributes.get("multiscales")
    entry = first[0] if isinstance(first, list) and first else None
    version = entry.get("version") if isinstance(entry, dict) else None
    if isinstance(version, str) and version != "0.4":
        raise InputError(f"{address} says OME-Zarr version {version} in Zarr v2; chunkwise reads {_known()}.")
    return "0.4"


def _known() -> str:
    return " and ".join(VERSIONS)


def _checked(location: Location, version: str, findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    if any(finding.severity == "error" for finding in findings):
        raise _broken(location, version, findings)
    return findings


def _broken(location: Location, version: str, findings: tuple[Finding, ...]) -> InputError:
    errors = [finding for finding in findings if finding.severity == "error"]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return InputError(
        f"{location.address} breaks the OME-Zarr {version} specification: {errors[0].where} {errors[0].message}{more}."
    )


def _open_multiscale(node: Node, block: dict[str, Any], version: str) -> Image:
    location = node.location
    is_labels = "image-label" in block or location.address.rstrip("/").split("/")[-2:-1] == ["labels"]
    refuse_color_axes(location, block["multiscales"])
    findings = list(_checked(location, version, validate(node.attributes, "image", version)))
    if "image-label" in block:
        findings += _checked(location, version, validate(node.attributes, "label", version))
    if len(block["multiscales"]) > 1:
        findings.append(Finding("warning", "multiscales", "has several entries; chunkwise uses the first"))
    multiscale = block["multiscales"][0]
    axes = normal_axes(location, multiscale["axes"], findings)
    nodes = [_read_level(location, entry["path"]) for entry in multiscale["datasets"]]
    shapes = [level.array.shape for level in nodes if level.array is not None]
    refuse_pixels(location, [level.array for level in nodes if level.array is not None], is_labels, findings)
    _check_shapes(location, version, axes, shapes, findings)
    outer = multiscale.get("coordinateTransformations")
    levels = []
    for entry, level in zip(multiscale["datasets"], nodes, strict=True):
        where = f"level {entry['path']!r}"
        scale, translation = _compose(entry["coordinateTransformations"], outer, len(axes))
        scale = _positive(location, axes, scale, where, findings)
        levels.append(_level(level, entry["path"], scale, translation))
        _check_dimension_names(location, version, level, multiscale["axes"], where, findings)
    name = multiscale.get("name")
    return Image(
        location=location,
        kind="labels" if is_labels else "image",
        version=version,
        name=name if name and name != "/" else re.sub(r"(\.ome)?\.zarr$", "", location.name),
        axes=axes,
        levels=tuple(levels),
        channels=_channels(axes, shapes[0], block.get("omero"), findings),
        labels=() if is_labels else _label_names(location, version, findings),
        findings=tuple(findings),
        placed=any(
            step["type"] == "translation"
            for step in [*multiscale["datasets"][0]["coordinateTransformations"], *(outer or [])]
        ),
    )


def _read_level(location: Location, path: str) -> Node:
    level = read_node(location.child(path))
    if level is None or level.array is None:
        raise InputError(
            f"{location.address} names the level {path!r}, but there is no array at that place; "
            "the store is incomplete: copy or write it again."
        )
    return level


def _level(node: Node, path: str, scale: tuple[float, ...], translation: tuple[float, ...]) -> Level:
    assert node.array is not None
    array = node.array
    return Level(
        path, array.shape, array.dtype, array.chunks, array.shards, array.codecs, scale, translation, node.zarr_format
    )


def _check_shapes(
    location: Location, version: str, axes: tuple[Axis, ...], shapes: list[tuple[int, ...]], findings: list[Finding]
) -> None:
    for index, shape in enumerate(shapes):
        where = f"multiscales[0].datasets[{index}]"
        if len(shape) != len(axes):
            fault = Finding("error", where, f"is an array of {len(shape)} dimensions for {len(axes)} axes")
            raise _broken(location, version, (fault,))
        if 0 in shape:
            raise InputError(f"{location.address} has no voxels: its level {index} has the shape {_times(shape)}.")
        if index and any(here > before for here, before in zip(shape, shapes[index - 1], strict=True)):
            fault = Finding("error", where, "is larger than the level before it; levels go from fine to coarse")
            raise _broken(location, version, (fault,))
        for axis, size, first in zip(axes, shape, shapes[0], strict=True):
            if axis.type != "space" and size != first:
                findings.append(Finding("warning", where, f"has {size} along {axis.name}, the first level {first}"))


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _compose(inner: Any, outer: Any, count: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Apply the level's transformations, then those of the whole multiscale."""
    scale, translation = [1.0] * count, [0.0] * count
    for entry in [*inner, *(outer or [])]:
        if entry["type"] == "scale":
            scale = [a * b for a, b in zip(scale, entry["scale"], strict=True)]
            translation = [a * b for a, b in zip(translation, entry["scale"], strict=True)]
        else:
            translation = [a + b for a, b in zip(translation, entry["translation"], strict=True)]
    return tuple(map(float, scale)), tuple(map(float, translation))


def _positive(
    location: Location, axes: tuple[Axis, ...], scale: tuple[float, ...], where: str, findings: list[Finding]
) -> tuple[float, ...]:
    """Refuse voxels without a size; a time step of 0 is how some writers say 'unknown'."""
    result = []
    for axis, value in zip(axes, scale, strict=True):
        if not 0 < value < float("inf"):
            if axis.type == "space":
                raise InputError(
                    f"{location.address} gives its {where} the scale {value} along {axis.name}, "
                    "which has to be greater than 0."
                )
            findings.append(Finding("warning", where, f"has the scale {value} along {axis.name}, which is read as 1"))
            value = 1.0
        result.append(value)
    return tuple(result)


def _check_dimension_names(
    location: Location, version: str, level: Node, axes: list[dict[str, Any]], where: str, findings: list[Finding]
) -> None:
    if version != "0.5" or level.array is None:
        return
    names, expected = level.array.dimension_names, tuple(axis["name"] for axis in axes)
    if names is None:
        findings.append(Finding("warning", where, "has no dimension_names, which OME-Zarr 0.5 asks for"))
    elif names != expected:
        said = ", ".join(map(str, names))
        fault = Finding("error", where, f"has the dimension_names {said} for the axes {', '.join(expected)}")
        raise _broken(location, version, (fault,))


def _channels(
    axes: tuple[Axis, ...], shape: tuple[int, ...], omero: Any, findings: list[Finding]
) -> tuple[Channel, ...]:
    count = next((size for axis, size in zip(axes, shape, strict=True) if axis.name == "c"), 1)
    entries = omero["channels"] if omero else []
    if omero and len(entries) != count:
        findings.append(Finding("warning", "omero.channels", f"describes {len(entries)} channels of {count}"))
    channels = []
    for index in range(count):
        entry = entries[index] if index < len(entries) else {}
        color = re.fullmatch(r"#?([0-9a-fA-F]{6})", entry.get("color") or "")
        window = entry.get("window")
        channels.append(
            Channel(
                index=index,
                name=entry.get("label") or str(index),
                color=color.group(1).upper() if color else None,
                window=(float(window["start"]), float(window["end"])) if window else None,
            )
        )
    return tuple(channels)


def _label_names(location: Location, version: str, findings: list[Finding]) -> tuple[str, ...]:
    """List the label images below an image; a damaged list is a remark, for the image itself is whole."""
    node = read_node(location.child("labels"))
    if node is None or node.array is not None:
        return ()
    remarks = validate(node.attributes, "labels", version)
    if remarks:
        findings += [Finding("warning", f"labels: {remark.where}", remark.message) for remark in remarks]
        return ()
    names = tuple(ome_block(node.attributes, version)["labels"])
    for name in names:
        location.child("labels").child(name)  # the policy speaks before anybody relies on the name
    return names


def _open_plate(node: Node, block: dict[str, Any], version: str) -> Plate:
    location = node.location
    findings = list(_checked(location, version, validate(node.attributes, "plate", version)))
    plate = block["plate"]
    rows = tuple(row["name"] for row in plate["rows"])
    columns = tuple(column["name"] for column in plate["columns"])
    wells = []
    for entry in plate["wells"]:
        fields = _fields(location, entry["path"], version, findings)
        row, column = rows[int(entry["rowIndex"])], columns[int(entry["columnIndex"])]
        wells.append(Well(entry["path"], row, column, fields))
    name = plate.get("name") or re.sub(r"(\.ome)?\.zarr$", "", location.name)
    return Plate(location, version, name, rows, columns, tuple(wells), tuple(findings))


def _fields(plate: Location, path: str, version: str, findings: list[Finding]) -> tuple[str, ...]:
    """Read which fields a well has; a well that is not there is empty, as in a plate still being written."""
    location = plate.child(path)
    node = read_node(location)
    if node is None or node.array is not None:
        findings.append(Finding("warning", path, "is named by the plate, but there is no such well"))
        return ()
    block = ome_block(node.attributes, version)
    if not isinstance(block, dict) or "well" not in block:
        raise _broken(location, version, (Finding("error", "well", "is missing"),))
    findings += [
        Finding(finding.severity, f"{path}: {finding.where}", finding.message)
        for finding in _checked(location, version, validate(node.attributes, "well", version))
    ]
    return tuple(image["path"] for image in block["well"]["images"])


def _open_collection(node: Node, version: str) -> Collection:
    location = node.location
    findings = list(_checked(location, version, validate(node.attributes, "bioformats2raw", version)))
    described = read_node(location.child("OME"))
    block = ome_block(described.attributes, version) if described is not None else None
    if described is not None and isinstance(block, dict) and "series" in block:
        findings += _checked(described.location, version, validate(described.attributes, "series", version))
        series = tuple(block["series"])
    else:
        numbers: list[str] = []
        while read_node(location.child(str(len(numbers)))) is not None:
            numbers.append(str(len(numbers)))
        series = tuple(numbers)
    for path in series:
        location.child(path)
    return Collection(location, version, series, tuple(findings))
