"""Objects from the maps of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from chunkwise.operations._part import LEVEL, REGION, TIME
from chunkwise.operations.model import Family, File, Image, Labels, Operation, Parameter
from chunkwise.operations.segment import CONNECTIVITY, FILL_HOLES

__all__ = ["FAMILY", "OPERATION", "SETTINGS"]

METHODS: Final = ("auto", "threshold", "foreground-boundary", "foreground-distance", "flows", "stardist")


FAMILY = Family(
    name="objects",
    title="Make objects of maps",
    summary="make objects of what a model says of every pixel",
    about="""\
Make objects of maps: what a model says of every pixel becomes a label image.

The maps are the channels of an image that 'chunkwise predict' or another program wrote. Objects that
touch are split by what the model says, and the result is the same whatever the blocks: an object that
crosses the border of blocks is one object, and two that touch there are two. With --method auto, the
default, the model's package says how; every part of that can be changed by an option.

  chunkwise objects maps.ome.zarr --output labels.ome.zarr
  chunkwise objects maps.ome.zarr --output labels.ome.zarr --method foreground-boundary --seed-threshold 0.4

A run that was stopped goes on where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="how maps become objects (defaults: what the model says, else those named here)",
    part_group="which part of the maps",
)


def _number(label: str, help: str, words: str, least: float | None = None, most: float | None = None) -> Parameter:
    return Parameter(float, None, label, help, least=least, most=most, metavar="T", default_words=words)


def _count(label: str, help: str, words: str, least: float, most: float) -> Parameter:
    return replace(_number(label, help, words, least, most), type=int, metavar="N")


#: What a model may say of its maps, too; which method takes which is said in :mod:`chunkwise.ops.objects`.
SETTINGS: Final = {
    "threshold": _number("Threshold", "a voxel is part of an object above this", "0.5; flows: 0"),
    "seed_threshold": _number(
        "Threshold of seeds",
        "foreground-boundary: an object begins where foreground less boundary is above this; foreground-distance: "
        "where a peak of the distance is above this",
        "0.5; foreground-distance: 0",
    ),
    "min_distance": _count(
        "Distance of two peaks", "foreground-distance: voxels around a peak in which none is higher", "5", 1, 1000
    ),
    "flow_scale": _number("Scale of flows", "flows: length of a flow that means one voxel", "5", 1e-6, 1e6),
    "steps": _count("Steps", "flows: the most steps that a voxel takes", "200", 1, 10000),
    "sink_distance": _count(
        "Distance of two sinks", "flows: voxels that end no further apart than this are one object", "3", 1, 1000
    ),
    "nms_threshold": _number(
        "Share of two polygons",
        "stardist: of two polygons that share more of the smaller one's pixels, one is kept",
        "0.4",
        0,
        1,
    ),
    "max_radius": _count(
        "Largest radius",
        "stardist: polygons that reach further than N pixels are left out, and counted",
        "128",
        1,
        4096,
    ),
    "grid": _count(
        "Grid", "stardist: pixels of the image for one of the maps, in which distances are counted", "1", 1, 64
    ),
    "connectivity": CONNECTIVITY,
    "fill_holes": FILL_HOLES,
    "min_size": _count("Smallest object", "drop objects of fewer than N voxels", "0", 0, 2**62),
}

OPERATION = Operation(
    name="objects",
    family="objects",
    title="Objects from maps",
    does="makes objects of a model's maps",
    takes={
        "image": Image(metavar="MAPS", help="path or URL of an OME-Zarr whose channels are maps, or a reference JSON")
    },
    gives=Labels(),
    part={"level": LEVEL, "time": TIME, "region": REGION},
    parameters={
        "method": Parameter(str, "auto", "Method", "auto does what the model's package says", choices=METHODS),
        "channels": Parameter(
            str,
            None,
            "Channels",
            "which channel holds which map, by name or number, such as foreground=0,boundary=1",
            metavar="MAP=CHANNEL,...",
        ),
        **SETTINGS,
    },
    files={"overlay": File(metavar="OVERLAY.png", help="write a picture of the first map with the outlines")},
    chain="chunkwise.running.chains.objects:run",
    rate=lambda values: 0.019 if values["method"] == "threshold" else None,
)
