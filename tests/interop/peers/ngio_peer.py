"""ngio."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import ngio
from zarr.storage import ZipStore

from peer import Inputs, answer, told_level


def container(store: Any, version: str, name: str, inputs: Inputs) -> tuple[Any, dict[str, Any]]:
    axes = inputs.axes(name)
    asked: dict[str, Any] = {
        "scale": {axis: inputs.scale[axis] for axis in axes if axis in inputs.scale},
        "units": {axis: inputs.units[axis] for axis in axes if axis in inputs.units},
    }
    more = {}
    if "c" in axes:
        asked["channels"] = inputs.channels
        more["channels_meta"] = inputs.channels
    image = ngio.create_ome_zarr_from_array(
        store,
        inputs.array(name),
        pixelsize=(inputs.scale["y"], inputs.scale["x"]),
        z_spacing=inputs.scale["z"],
        time_spacing=inputs.scale["t"],
        axes_names=list(axes),
        ngff_version=version,
        **more,
    )
    return image, asked


def image(version: str, name: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "image.ome.zarr")
    made, asked = container(store, version, name, inputs)
    label = made.derive_label("cells")
    labels = inputs.array(name + "_labels")
    label.set_array(labels[:, 0] if "c" in inputs.axes(name) else labels)
    label.consolidate()
    return {"store": store, "input": name, "labels": "cells", "asked": asked}


def plate(version: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "plate.ome.zarr")
    made = ngio.create_empty_plate(store, name="plate", ngff_version=version)
    fields = []
    for row, column in (("A", 1), ("B", 2)):
        for field in "01":
            path = made.add_image(row, column, field)
            container(made.get_image_store(row, column, field), version, "series", inputs)
            fields.append(path if isinstance(path, str) else f"{row}/{column:02d}/{field}")
    found = made.images_paths()
    return {"store": store, "input": "series", "fields": sorted(found)}


def told(image: Any, levels: list[str], get: Any) -> dict[str, Any]:
    axes = list(image.axes)
    found = []
    for path in levels:
        one = get(path)
        level = told_level(one.get_as_numpy())
        size = one.pixel_size
        level["scale"] = {axis: float(getattr(size, axis)) for axis in axes if axis != "c"}
        level["translation"] = {axis: float(value) for axis, value in zip(axes, one.dataset.translation, strict=True)}
        found.append(level)
    units = {axis: image.space_unit for axis in axes if axis in "zyx"}
    if "t" in axes:
        units["t"] = image.time_unit
    return {"axes": axes, "levels": found, "units": {axis: unit for axis, unit in units.items() if unit}}


def read(path: str) -> dict[str, Any]:
    store: Any = ZipStore(path, mode="r") if path.endswith(".ozx") else path
    try:
        opened = ngio.open_ome_zarr_container(store, mode="r")
    except ngio.NgioError:
        if store is not path:
            raise
        # A label image that stands alone.
        label = ngio.open_label(store)
        return told(label, label.meta.paths, lambda path: ngio.open_label(store, path=path))
    result = told(opened.get_image(), opened.level_paths, lambda path: opened.get_image(path=path))
    if "c" in result["axes"]:
        result["channels"] = opened.channel_labels
        result["colors"] = [str(c.channel_visualisation.color) for c in opened.get_image().channels_meta.channels]
    result["labels"] = {}
    for name in opened.list_labels():
        label = opened.get_label(name)
        paths = label.meta.paths
        result["labels"][name] = told(label, paths, lambda path, name=name: opened.get_label(name, path=path))
    return result


answer(
    ["ngio", "zarr"],
    read,
    {
        "image with labels 0.5": partial(image, "0.5", "series"),
        "image with labels 0.4": partial(image, "0.4", "series"),
        "2-D image with labels 0.5": partial(image, "0.5", "plane"),
        "plate 0.5": partial(plate, "0.5"),
        "plate 0.4": partial(plate, "0.4"),
    },
)
