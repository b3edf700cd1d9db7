"""Opening a store: its metadata are read, validated and normalised; no voxel is touched.

This is the door: behind it, axes are ``tczyx`` or a part of it in that order, units have the
specification's names, and every level has one scale and translation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chunkwise.errors import InputError
from chunkwise.ngff.axes import normal_axes, refuse_color_axes, refuse_pixels
from chunkwise.ngff.channels import channels_of
from chunkwise.ngff.in_zip import inside_zip
from chunkwise.ngff.lenient import SPATIALDATA, broken, settle
from chunkwise.ngff.members import label_names, open_collection, open_plate, open_well
from chunkwise.ngff.model import Axis, Finding, Image, Level, Plate, Store, bare_name
from chunkwise.ngff.nothing_here import say_not_ome, say_not_zarr, say_single_array, some_of
from chunkwise.ngff.validation import VERSIONS, ome_block, validate
from chunkwise.ngff.zarr_json import Node, read_node
from chunkwise.storage.location import Location

__all__ = ["check_strictly", "open_image", "open_store"]

LAYOUT = "bioformats2raw.layout"


def open_store(location: Location) -> Store:
    """Open an image, a label image, a plate, a well or a bioformats2raw collection.

    What is damaged of a whole counts as absent, and what the specification forbids is read where its meaning is
    beyond doubt; the findings say so.

    Raises
    ------
    InputError
        If it is none of these, if it breaks the specification so that its meaning is in doubt, or if chunkwise cannot
        work on it.
    PolicyError
        If its metadata name a place that the policy does not allow.
    """
    location, findings = inside_zip(location)
    node = _read_group(location)
    version = _version(node)
    block = ome_block(node.attributes, version)
    if not isinstance(block, dict):
        raise broken(location, version, validate(node.attributes, "image", version))
    if "plate" in block:
        return _remarked(open_plate(node, version), findings)
    if "multiscales" in block:
        return _remarked(_open_multiscale(node, block, version), findings)
    if "well" in block:
        return _remarked(open_well(node, version), findings)
    if LAYOUT in block:
        return _remarked(open_collection(node, version), findings)
    raise InputError(say_not_ome(node, block))


def open_image(location: Location) -> Image:
    """Open one image or label image.

    A collection of one image stands for that image.

    Raises
    ------
    InputError
        As :func:`open_store`; also for a plate, a well and a collection of several images, with their paths.
    PolicyError
        If its metadata name a place that the policy does not allow.
    """
    store = open_store(location)
    if isinstance(store, Image):
        return store
    if isinstance(store, Plate):
        paths = [f"{well.path}/{field}" for well in store.wells for field in well.fields]
        raise InputError(
            f"{location.address} is a plate; give the path of one of its fields: {some_of(paths) or 'it has none'}."
        )
    if store.kind == "well":
        fields = some_of(list(store.series)) or "it has none"
        raise InputError(f"{location.address} is a well of a plate; give the path of one of its fields: {fields}.")
    if not store.series:
        raise InputError(f"{location.address} is a collection of images that contains no image.")
    if len(store.series) != 1:
        raise InputError(
            f"{location.address} holds {len(store.series)} images; give the path of one of them: "
            f"{some_of(list(store.series))}."
        )
    image = open_image(location.child(store.series[0]))
    return replace(image, findings=(*store.findings, *image.findings))


def check_strictly(store: Store, *, recommended: bool = False) -> None:
    """Refuse a store that was opened although its metadata break the specification.

    Parameters
    ----------
    store : Store
        As :func:`open_store` returns it.
    recommended : bool
        Whether to refuse it for every other remark, too.

    Raises
    ------
    InputError
        With the first such place.
    """
    if any(finding.severity == "deviation" for finding in store.findings):
        raise broken(store.location, store.version, store.findings)
    if recommended and store.findings:
        first, more = store.findings[0], len(store.findings) - 1
        raise InputError(
            f"{store.location.address} does not follow every recommendation of OME-Zarr {store.version}: {first.where} "
            f"{first.text}{f' (and {more} more)' if more else ''}."
        )


def _remarked(store: Store, findings: tuple[Finding, ...]) -> Store:
    return replace(store, findings=(*findings, *store.findings)) if findings else store


def _read_group(location: Location) -> Node:
    node = read_node(location)
    if node is None:
        raise InputError(say_not_zarr(location))
    if node.array is not None:
        raise InputError(say_single_array(location))
    return node


def _version(node: Node) -> str:
    """Find the version that the metadata say they follow."""
    address, attributes = node.location.address, node.attributes
    ours = "0.5" if node.zarr_format == 3 else "0.4"
    if node.zarr_format == 3:
        ome = attributes.get("ome")
        if ome is None:
            if "multiscales" in attributes:
                raise InputError(
                    f"{address} is a Zarr store but not an OME-Zarr: its attributes have no 'ome' block (metadata of "
                    "version 0.4 need Zarr v2)."
                )
            raise InputError(say_not_ome(node, None))
        version = ome.get("version") if isinstance(ome, dict) else None
        systems = isinstance(ome, dict) and version is None and _has_coordinate_systems(ome)
        if (isinstance(version, str) and version.startswith("0.6")) or systems:
            given = version or "0.6 (it has coordinate systems)"
            raise InputError(
                f"{address} follows OME-Zarr version {given}, which is still being developed; chunkwise reads "
                f"{_known()}: write the image again as 0.5."
            )
    else:
        if "ome" in attributes and "multiscales" not in attributes:
            raise InputError(
                f"{address} has metadata of OME-Zarr 0.5 in Zarr v2; the specification requires Zarr v3 for it."
            )
        first = attributes.get("multiscales")
        entry = first[0] if isinstance(first, list) and first else None
        version = entry.get("version") if isinstance(entry, dict) else None
    if isinstance(version, str) and version != ours:
        meant = SPATIALDATA.fullmatch(version)
        if meant is None or meant.group(1) != ours:
            raise InputError(
                f"{address} says OME-Zarr version {version} in Zarr v{node.zarr_format}; chunkwise reads {_known()}."
            )
    return ours


def _has_coordinate_systems(ome: dict[str, Any]) -> bool:
    multiscales = ome.get("multiscales")
    return isinstance(multiscales, list) and any(
        isinstance(entry, dict) and "coordinateSystems" in entry for entry in multiscales
    )


def _known() -> str:
    return " and ".join(VERSIONS)


def _open_multiscale(node: Node, block: dict[str, Any], version: str) -> Image:
    location = node.location
    is_labels = "image-label" in block or location.address.rstrip("/").split("/")[-2:-1] == ["labels"]
    refuse_color_axes(location, block["multiscales"])
    omero = block.get("omero")  # as it is: what is whole of a damaged one is used
    meant, findings = settle(location, node.attributes, "image", version)
    if "image-label" in block:
        findings += _new_remarks(settle(location, node.attributes, "label", version)[1], findings)
    if len(meant["multiscales"]) > 1:
        findings.append(Finding("warning", "multiscales", "has several entries; chunkwise uses the first"))
    multiscale = meant["multiscales"][0]
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
        name=name if name and name != "/" else bare_name(location),
        axes=axes,
        levels=tuple(levels),
        channels=channels_of(axes, shapes[0], omero, findings),
        labels=() if is_labels else label_names(location, block, findings),
        findings=tuple(findings),
        placed=any(
            step["type"] == "translation"
            for step in [*multiscale["datasets"][0]["coordinateTransformations"], *(outer or [])]
        ),
    )


def _new_remarks(remarks: list[Finding], findings: list[Finding]) -> list[Finding]:
    """What is true of the whole block, such as its version, is said once."""
    return [remark for remark in remarks if remark not in findings]


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
            raise broken(location, version, (fault,))
        if 0 in shape:
            raise InputError(f"{location.address} has no voxels: its level {index} has the shape {_times(shape)}.")
        if index and any(here > before for here, before in zip(shape, shapes[index - 1], strict=True)):
            fault = Finding("error", where, "is larger than the level before it; levels go from fine to coarse")
            raise broken(location, version, (fault,))
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
        findings.append(Finding("warning", where, "has no dimension_names, which OME-Zarr 0.5 requires"))
    elif names != expected:
        given = ", ".join(map(str, names))
        fault = Finding("error", where, f"has the dimension_names {given} for the axes {', '.join(expected)}")
        raise broken(location, version, (fault,))
