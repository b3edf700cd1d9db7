"""ome-zarr-py."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import zarr
from ome_zarr.format import FormatV04, FormatV05
from ome_zarr.io import ZarrLocation, parse_url
from ome_zarr.reader import Multiscales, Reader
from ome_zarr.writer import write_image, write_labels, write_plate_metadata, write_well_metadata
from zarr.storage import ZipStore

from peer import Cannot, Inputs, answer, told_level

FORMATS = {"0.4": (FormatV04, 2), "0.5": (FormatV05, 3)}


def image(version: str, full: bool, alike: bool, name: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    kind, zarr_format = FORMATS[version]
    store = os.path.join(folder, "image.ome.zarr")
    group = zarr.open_group(store, mode="w", zarr_format=zarr_format)
    axes = inputs.axes(name)
    asked: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if full:
        asked = {"scale": {axis: inputs.scale.get(axis, 1.0) for axis in axes}}
        asked["units"] = {axis: inputs.units[axis] for axis in axes if axis in inputs.units}
        more = {"scale": asked["scale"], "axes_units": asked["units"]}
    write_image(inputs.array(name), group, axes=axes, fmt=kind(), **more)
    write_labels(inputs.array(name + "_labels"), group, name="cells", axes=axes, fmt=kind(), **(more if alike else {}))
    return {"store": store, "input": name, "labels": "cells", "asked": asked}


def plate(version: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    kind, zarr_format = FORMATS[version]
    store = os.path.join(folder, "plate.ome.zarr")
    root = zarr.open_group(store, mode="w", zarr_format=zarr_format)
    wells = ["A/1", "B/2"]
    write_plate_metadata(root, ["A", "B"], ["1", "2"], wells, fmt=kind())
    for well in wells:
        group = root.require_group(well)
        write_well_metadata(group, ["0", "1"], fmt=kind())
        for field in "01":
            write_image(inputs.array("series"), group.require_group(field), axes=inputs.axes("series"), fmt=kind())
    return {"store": store, "input": "series", "fields": [f"{well}/{field}" for well in wells for field in "01"]}


def read(store: str) -> dict[str, Any]:
    zipped = store.endswith(".ozx")
    location = ZarrLocation(ZipStore(store, mode="r")) if zipped else parse_url(store)
    if location is None:
        raise Cannot("parse_url finds no store there")
    told: dict[str, Any] = {"labels": {}}
    for node in Reader(location)():
        if node.load(Multiscales) is None:
            continue
        path = "." if zipped else os.path.relpath(str(node.zarr.path).removeprefix("file://"), os.path.abspath(store))
        one = told if path == "." else told["labels"].setdefault(os.path.basename(path), {})
        axes = [axis["name"] for axis in node.metadata["axes"]]
        one["axes"] = axes
        one["units"] = {axis["name"]: axis["unit"] for axis in node.metadata["axes"] if "unit" in axis}
        one["levels"] = []
        for data, steps in zip(node.data, node.metadata["coordinateTransformations"], strict=True):
            found = {step["type"]: step[step["type"]] for step in steps}
            one["levels"].append(told_level(data, axes, found["scale"], found.get("translation", [0.0] * len(axes))))
        if "channel_names" in node.metadata:
            one["channels"] = node.metadata["channel_names"]
    if "levels" not in told:
        raise Cannot("its Reader finds no multiscale there")
    return told


answer(
    ["ome-zarr", "zarr"],
    read,
    {
        "image with labels 0.5, defaults": partial(image, "0.5", False, False, "series"),
        "image with labels 0.4, defaults": partial(image, "0.4", False, False, "series"),
        "image with labels 0.5, scale and units": partial(image, "0.5", True, True, "series"),
        "image 0.5, scale and units, with labels by default": partial(image, "0.5", True, False, "series"),
        "2-D image with labels 0.5, scale and units": partial(image, "0.5", True, True, "plane"),
        "plate 0.5": partial(plate, "0.5"),
        "plate 0.4": partial(plate, "0.4"),
    },
)
