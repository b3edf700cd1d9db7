"""SpatialData, whose containers hold images and labels as OME-Zarr."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import spatialdata as sd
from spatialdata.models import Image2DModel, Image3DModel, Labels2DModel, Labels3DModel
from spatialdata.transformations import Scale

from peer import Cannot, Inputs, answer, told_level


def image(flat: bool, folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "container.zarr")
    name, dims = ("plane", "yx") if flat else ("stack", "zyx")
    models = (Image2DModel, Labels2DModel) if flat else (Image3DModel, Labels3DModel)
    # It wants a channel axis.
    pixels = models[0].parse(inputs.array(name)[None], dims=["c", *dims], c_coords=["nuclei"], scale_factors=[2])
    cells = models[1].parse(inputs.array(name + "_labels"), dims=list(dims), scale_factors=[2])
    sd.SpatialData(images={"picture": pixels}, labels={"cells": cells}).write(store)
    # Its labels stand beside its images, not in them.
    return {
        "store": os.path.join(store, "images", "picture"),
        "labels store": os.path.join(store, "labels", "cells"),
        "input": name,
        "asked": {"channels": ["nuclei"]},
    }


def scaled(folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "container.zarr")
    scale = Scale([inputs.scale["y"], inputs.scale["x"]], axes=("y", "x"))
    pixels = Image2DModel.parse(inputs.array("plane")[None], dims=["c", "y", "x"], transformations={"global": scale})
    sd.SpatialData(images={"picture": pixels}).write(store)
    asked = {"scale": {"y": inputs.scale["y"], "x": inputs.scale["x"]}}
    return {"store": os.path.join(store, "images", "picture"), "input": "plane", "asked": asked}


def no_plates(_folder: str, _inputs: Inputs) -> dict[str, Any]:
    raise Cannot("writes no plates")


def _attempt(store: str) -> str:
    try:
        return f"read_zarr finds {len(list(sd.read_zarr(store).gen_elements()))} elements"
    except Exception as error:
        return f"read_zarr ends with {type(error).__name__}: {error}"


def read(store: str) -> dict[str, Any]:
    container, kind = os.path.dirname(os.path.dirname(store)), os.path.basename(os.path.dirname(store))
    if kind not in ("images", "labels"):
        # What is no container of its own: its only reader, to hear what that says.
        raise Cannot(_attempt(store))
    element = sd.read_zarr(container)[os.path.basename(store)]
    scales = element.values() if hasattr(element, "children") else [element]
    arrays = [next(iter(one.values())) if hasattr(one, "data_vars") else one for one in scales]
    told: dict[str, Any] = {"axes": list(arrays[0].dims), "levels": [told_level(one.data) for one in arrays]}
    if "c" in arrays[0].dims:
        told["channels"] = [str(value) for value in arrays[0].coords["c"].values]
    return told


answer(
    ["spatialdata", "ome-zarr", "zarr"],
    read,
    {
        "2-D image and labels": partial(image, True),
        "3-D image and labels": partial(image, False),
        "2-D image with a scale": scaled,
        "plate": no_plates,
    },
)
