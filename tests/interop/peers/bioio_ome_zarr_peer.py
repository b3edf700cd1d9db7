"""bioio-ome-zarr."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

from bioio_ome_zarr import Reader
from bioio_ome_zarr.writers import Channel, OMEZarrWriter

from peer import Cannot, Inputs, answer, told_level


def image(zarr_format: int, full: bool, name: str, ending: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "image" + ending)
    data, axes = inputs.array(name), inputs.axes(name)
    half = tuple(n // 2 if axis in "yx" else n for axis, n in zip(axes, data.shape, strict=True))
    asked: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if full:
        asked["scale"] = {axis: inputs.scale.get(axis, 1.0) for axis in axes}
        asked["units"] = {axis: inputs.units[axis] for axis in axes if axis in inputs.units}
        more = {
            "axes_names": list(axes),
            "axes_units": [inputs.units.get(axis) for axis in axes],
            "physical_pixel_size": inputs.scales(name),
        }
        if "c" in axes:
            asked["channels"] = inputs.channels
            asked["colors"] = inputs.colors
            more["channels"] = [
                Channel(label=label, color=color) for label, color in zip(inputs.channels, inputs.colors, strict=True)
            ]
    writer = OMEZarrWriter(store, [data.shape, half], data.dtype, zarr_format=zarr_format, **more)
    writer.write_full_volume(data)
    writer.close()
    return {"store": store, "input": name, "asked": asked}


def cannot(what: str, _folder: str, _inputs: Inputs) -> dict[str, Any]:
    raise Cannot(what)


def read(store: str) -> dict[str, Any]:
    reader = Reader(store)
    axes = [axis.lower() for axis in reader.dims.order]
    levels = []
    for number in reader.resolution_levels:
        reader.set_resolution_level(number)
        level = told_level(reader.data)
        level["scale"] = {}
        for axis in axes:
            size = getattr(reader.scale, axis.upper())
            if size is not None:
                level["scale"][axis] = size.total_seconds() if hasattr(size, "total_seconds") else float(size)
        levels.append(level)
    properties = reader.dimension_properties
    units = {axis: getattr(properties, axis.upper()).unit for axis in axes if axis != "c"}
    told: dict[str, Any] = {
        "axes": axes,
        "levels": levels,
        "units": {axis: str(unit) for axis, unit in units.items() if unit is not None},
    }
    if "c" in axes and reader.channel_names is not None:
        told["channels"] = list(reader.channel_names)
    return told


answer(
    ["bioio-ome-zarr", "zarr"],
    read,
    {
        "image 0.5, defaults": partial(image, 3, False, "series", ".ome.zarr"),
        "image 0.4, defaults": partial(image, 2, False, "series", ".ome.zarr"),
        "image 0.5, scale, units, names and colours": partial(image, 3, True, "series", ".ome.zarr"),
        "2-D image 0.5, scale and units": partial(image, 3, True, "plane", ".ome.zarr"),
        "labels": partial(cannot, "writes no labels"),
        "plate": partial(cannot, "writes no plates"),
        "zipped image 0.5": partial(image, 3, True, "series", ".ozx"),
    },
)
