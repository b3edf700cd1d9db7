"""ngff-zarr."""

from __future__ import annotations

import os
from functools import partial
from typing import Any

import ngff_zarr as nz

from peer import Cannot, Inputs, answer, told_level


def made(inputs: Inputs, name: str, full: bool) -> tuple[Any, dict[str, Any]]:
    axes = inputs.axes(name)
    asked: dict[str, Any] = {}
    more: dict[str, Any] = {}
    if full:
        asked["scale"] = {axis: inputs.scale[axis] for axis in axes if axis in inputs.scale}
        asked["units"] = {axis: inputs.units[axis] for axis in axes if axis in inputs.units}
        more = {"scale": asked["scale"], "axes_units": asked["units"]}
    return nz.to_ngff_image(inputs.array(name), dims=list(axes), **more), asked


def image(version: str, full: bool, name: str, ending: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "image" + ending)
    ngff_image, asked = made(inputs, name, full)
    if name.endswith("_labels"):
        multiscales = nz.to_multiscales(ngff_image, method=nz.Methods.ITKWASM_LABEL_IMAGE)
    else:
        multiscales = nz.to_multiscales(ngff_image)
    if full and name == "series":
        asked["channels"], asked["colors"] = inputs.channels, inputs.colors
        window = nz.OmeroWindow(min=0, max=65535, start=100, end=40000)
        multiscales.metadata.omero = nz.Omero(
            channels=[
                nz.OmeroChannel(color=color, label=label, window=window)
                for color, label in zip(inputs.colors, inputs.channels, strict=True)
            ]
        )
    nz.to_ngff_zarr(store, multiscales, version=version)
    return {"store": store, "input": name, "asked": asked}


def labelled(folder: str, inputs: Inputs) -> dict[str, Any]:
    """An image, and labels of it as an image of their own."""
    made_image = image("0.5", True, "stack", ".ome.zarr", folder, inputs)
    beside = os.path.join(folder, "labels")
    os.makedirs(beside)
    return {**made_image, "labels store": image("0.5", True, "stack_labels", ".ome.zarr", beside, inputs)["store"]}


def plate(version: str, folder: str, inputs: Inputs) -> dict[str, Any]:
    store = os.path.join(folder, "plate.ome.zarr")
    wells = [nz.PlateWell(path="A/1", rowIndex=0, columnIndex=0), nz.PlateWell(path="B/2", rowIndex=1, columnIndex=1)]
    metadata = nz.Plate(
        columns=[nz.PlateColumn(name="1"), nz.PlateColumn(name="2")],
        rows=[nz.PlateRow(name="A"), nz.PlateRow(name="B")],
        wells=wells,
        name="plate",
        field_count=2,
        version=version,
    )
    nz.to_hcs_zarr(nz.HCSPlate(store, metadata), store)
    multiscales = nz.to_multiscales(made(inputs, "series", True)[0])
    for well in wells:
        row, column = well.path.split("/")
        for field in range(2):
            nz.write_hcs_well_image(store, multiscales, metadata, row, column, field, version=version)
    return {"store": store, "input": "series", "fields": [f"{well.path}/{field}" for well in wells for field in "01"]}


def no_labels(_folder: str, _inputs: Inputs) -> dict[str, Any]:
    raise Cannot("writes no labels/ of an image; labels are an image of their own")


def read(store: str) -> dict[str, Any]:
    multiscales = nz.from_ngff_zarr(store, validate=True)
    axes = list(multiscales.images[0].dims)
    first = multiscales.images[0]
    told: dict[str, Any] = {
        "axes": axes,
        "units": {axis: str(unit) for axis, unit in (first.axes_units or {}).items() if unit},
        "levels": [
            told_level(one.data, axes, [one.scale[a] for a in axes], [one.translation[a] for a in axes])
            for one in multiscales.images
        ],
    }
    if multiscales.metadata.omero:
        told["channels"] = [channel.label for channel in multiscales.metadata.omero.channels]
        told["colors"] = [channel.color for channel in multiscales.metadata.omero.channels]
    return told


answer(
    ["ngff-zarr"],
    read,
    {
        "image 0.5, defaults": partial(image, "0.5", False, "series", ".ome.zarr"),
        "image 0.4, defaults": partial(image, "0.4", False, "series", ".ome.zarr"),
        "image 0.5, scale, units, names and colours": partial(image, "0.5", True, "series", ".ome.zarr"),
        "3-D image 0.5, scale and units, and labels as an image": labelled,
        "labels of an image": no_labels,
        "plate 0.5": partial(plate, "0.5"),
        "plate 0.4": partial(plate, "0.4"),
        "zipped image 0.5": partial(image, "0.5", True, "series", ".ozx"),
    },
)
