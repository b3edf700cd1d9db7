"""iohub, as the microscopes of one platform write."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import zarr
from iohub.ngff import TransformationMeta, open_ome_zarr

from peer import Cannot, Inputs, answer, told_level

#: Versions before 0.3, the last for Python 3.11, use zarr 2 and know no labels.
OLD = zarr.__version__.startswith("2.")


def check(version: str) -> None:
    if OLD and version != "0.4":
        raise Cannot("this version writes 0.4 only")


def image(version: str, full: bool, folder: str, inputs: Inputs) -> dict[str, Any]:
    check(version)
    store = os.path.join(folder, "image.ome.zarr")
    asked: dict[str, Any] = {"channels": inputs.channels}
    transform = None
    if full:
        asked["scale"] = {axis: inputs.scale.get(axis, 1.0) for axis in "tczyx"}
        transform = [TransformationMeta(type="scale", scale=inputs.scales("series"))]
    with open_ome_zarr(store, "fov", "w-", channel_names=inputs.channels, version=version) as position:
        position.create_image("0", inputs.array("series"), transform=transform)
        if not OLD:
            position.create_label("cells", inputs.array("series_labels")[:, 0])
    return {"store": store, "input": "series", "asked": asked, **({} if OLD else {"labels": "cells"})}


def plate(version: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    check(version)
    store = os.path.join(folder, "plate.ome.zarr")
    fields = [(row, column, field) for row, column in (("A", "1"), ("B", "2")) for field in "01"]
    with open_ome_zarr(store, "hcs", "w-", channel_names=inputs.channels, version=version) as made:
        for field in fields:
            made.create_position(*field).create_image("0", inputs.array("series"))
    return {"store": store, "input": "series", "fields": ["/".join(field) for field in fields]}


def told(node: Any, scales: Any = None) -> dict[str, Any]:
    multiscale = node.metadata.multiscales[0]
    axes = [axis.name.lower() for axis in multiscale.axes]
    levels = []
    for dataset in multiscale.datasets:
        data = node[dataset.path][...]
        if scales is None:
            levels.append(told_level(data))
        else:
            levels.append(told_level(data, axes, *scales(dataset.path)))
    units = {axis: getattr(one, "unit", None) for axis, one in zip(axes, multiscale.axes, strict=True)}
    return {"axes": axes, "levels": levels, "units": {axis: str(unit) for axis, unit in units.items() if unit}}


def read(store: str) -> dict[str, Any]:
    with open_ome_zarr(store, layout="fov", mode="r") as position:
        result = told(
            position, lambda path: (position.get_effective_scale(path), position.get_effective_translation(path))
        )
        if "c" in result["axes"]:
            result["channels"] = position.channel_names
        if not OLD:
            result["labels"] = {name: told(label) for name, label in position.labels()} if position.has_labels else {}
    return result


answer(
    ["iohub", "zarr"],
    read,
    {
        "image with labels 0.5, defaults": partial(image, "0.5", False),
        "image with labels 0.4, defaults": partial(image, "0.4", False),
        "image with labels 0.5, scale": partial(image, "0.5", True),
        "image with labels 0.4, scale": partial(image, "0.4", True),
        "plate 0.5": partial(plate, "0.5"),
        "plate 0.4": partial(plate, "0.4"),
    },
)
