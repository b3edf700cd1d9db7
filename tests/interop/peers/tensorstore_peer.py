"""tensorstore, which knows arrays: the metadata of OME-Zarr are written here, as its users have to."""

from __future__ import annotations

import json
import os
from functools import partial
from typing import Any

import tensorstore as ts

from peer import Cannot, Inputs, answer, told_level

TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


def group(folder: str, zarr_format: int, attributes: dict[str, Any]) -> None:
    os.makedirs(folder, exist_ok=True)
    documents = (
        {"zarr.json": {"zarr_format": 3, "node_type": "group", "attributes": {"ome": {"version": "0.5", **attributes}}}}
        if zarr_format == 3
        else {".zgroup": {"zarr_format": 2}, ".zattrs": attributes}
    )
    for name, document in documents.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            json.dump(document, file)


def array(folder: str, zarr_format: int, data: Any) -> None:
    driver = "zarr3" if zarr_format == 3 else "zarr"
    more = {}
    if zarr_format == 3:
        more = {
            "chunk_layout": ts.ChunkLayout(
                write_chunk_shape=[min(64, n) for n in data.shape], read_chunk_shape=[min(16, n) for n in data.shape]
            )
        }
    spec = {"driver": driver, "kvstore": {"driver": "file", "path": folder}}
    store = ts.open(spec, create=True, dtype=data.dtype, shape=data.shape, **more).result()
    store.write(data).result()


def multiscale(folder: str, zarr_format: int, name: str, inputs: Inputs, extra: dict[str, Any]) -> None:
    axes = inputs.axes(name)
    entry = {
        "axes": [
            {"name": axis, "type": TYPES[axis], **({"unit": inputs.units[axis]} if axis in inputs.units else {})}
            for axis in axes
        ],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": inputs.scales(name)}]}],
    }
    if zarr_format == 2:
        entry["version"] = "0.4"
    group(folder, zarr_format, {"multiscales": [entry], **extra})
    array(os.path.join(folder, "0"), zarr_format, inputs.array(name))


def image(zarr_format: int, folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "image.ome.zarr")
    multiscale(store, zarr_format, "stack", inputs, {})
    group(os.path.join(store, "labels"), zarr_format, {"labels": ["cells"]})
    multiscale(os.path.join(store, "labels", "cells"), zarr_format, "stack_labels", inputs, {"image-label": {}})
    asked = {
        "scale": {axis: inputs.scale[axis] for axis in "zyx"},
        "units": {axis: inputs.units[axis] for axis in "zyx"},
    }
    return {"store": store, "input": "stack", "labels": "cells", "asked": asked}


def no_plates(_folder: str, _inputs: Inputs) -> dict[str, Any]:
    raise Cannot("knows arrays only")


def read_zipped(store: str) -> dict[str, Any]:
    base = {"driver": "zip", "base": {"driver": "file", "path": store}}
    kept = ts.KvStore.open(base).result()
    levels: list[dict[str, Any]] = []
    while kept.read(f"{len(levels)}/zarr.json").result().state == "value":
        opened = ts.open({"driver": "zarr3", "kvstore": {**base, "path": f"{len(levels)}/"}}, open=True).result()
        levels.append(told_level(opened.read().result()))
    return {"levels": levels}


def read(store: str) -> dict[str, Any]:
    if store.endswith(".ozx"):
        return read_zipped(store)
    levels: list[dict[str, Any]] = []
    for number in range(20):
        place = os.path.join(store, str(number))
        if not os.path.isdir(place):
            break
        driver = "zarr3" if os.path.exists(os.path.join(place, "zarr.json")) else "zarr"
        opened = ts.open({"driver": driver, "kvstore": {"driver": "file", "path": place}}, open=True).result()
        levels.append(told_level(opened.read().result()))
    if not levels:
        raise Cannot("knows arrays only, and there is none at 0")
    return {"levels": levels}


answer(
    ["tensorstore"],
    read,
    {
        "sharded image with labels 0.5": partial(image, 3),
        "image with labels 0.4": partial(image, 2),
        "plate": no_plates,
    },
)
