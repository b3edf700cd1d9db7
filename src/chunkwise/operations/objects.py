"""Objects from the maps of a model."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from chunkwise.operations._part import LEVEL, REGION, TIME, VIEW
from chunkwise.operations.model import Family, File, Image, Labels, Operation, Parameter
from chunkwise.operations.segment import CONNECTIVITY, FILL_HOLES

__all__ = ["FAMILY", "OPERATION", "SETTINGS"]

METHODS: Final = {
    "auto": "as the model's package says",
    "threshold": "connected voxels are one object",
    "foreground-boundary": "split where the model sees a boundary",
    "foreground-distance": "split between the centres",
    "flows": "Cellpose: cell probability and flows",
    "stardist": "StarDist: probability and distances along rays (2-D)",
}


FAMILY = Family(
    name="objects",
    title="Turn maps into objects",
    summary="turn a model's maps into objects",
    about="""\
Turn a model's maps into objects: what it says about every pixel becomes a label image.

The maps are the channels of an image that 'chunkwise predict' or another program wrote. Objects that
touch are split by what the model says, and the result is the same whatever the blocks: an object that
crosses the border of blocks is one object, and two that touch there are two. With --method auto, the
default, the model's package says how; every part of that can be changed by an option.

  chunkwise objects maps.ome.zarr --output labels.ome.zarr
  chunkwise objects maps.ome.zarr --output labels.ome.zarr --method foreground-boundary --seed-threshold 0.4

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="how maps become objects (defaults: what the model says, otherwise those named here)",
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
        "Seed threshold",
        "foreground-boundary: seeds are where foreground minus boundary is above this; foreground-distance: seeds "
        "are peaks of the distance above this",
        "0.5; foreground-distance: 0",
    ),
    "min_distance": _count(
        "Distance between seeds", "foreground-distance: voxels around a peak in which none is higher", "5", 1, 1000
    ),
    "flow_scale": _number("Flow scale", "flows: the length of a flow that stands for one voxel", "5", 1e-6, 1e6),
    "steps": _count("Steps", "flows: the most steps that a voxel takes", "200", 1, 10000),
    "sink_distance": _count(
        "Distance between end points", "flows: voxels that end no farther apart than this are one object", "3", 1, 1000
    ),
    "nms_threshold": _number(
        "Allowed overlap",
        "stardist: of two polygons that share more than this fraction of the smaller one's pixels, the likelier is "
        "kept",
        "0.4",
        0,
        1,
    ),
    "max_radius": _count(
        "Largest radius",
        "stardist: polygons that reach farther than N pixels are left out and counted",
        "128",
        1,
        4096,
    ),
    "grid": _count(
        "Grid", "stardist: pixels of the image per pixel of the maps; distances are in pixels of the image", "1", 1, 64
    ),
    "connectivity": CONNECTIVITY,
    "fill_holes": FILL_HOLES,
    "min_size": _count("Minimum size", "remove objects of fewer than N voxels", "0", 0, 2**62),
}

OPERATION = Operation(
    name="objects",
    family="objects",
    title="Objects from maps",
    does="turns a model's maps into objects",
    takes={
        "image": Image(metavar="MAPS", help="path or URL of an OME-Zarr whose channels are maps, or a reference JSON")
    },
    gives=Labels(),
    part={"level": LEVEL, "time": TIME, "region": REGION},
    parameters={
        "method": Parameter(str, "auto", "Method", "how the maps become objects", choices=METHODS),
        "channels": Parameter(
            str,
            None,
            "Which channel holds which map",
            "which channel holds which map, by name or number, such as foreground=0,boundary=1",
            metavar="MAP=CHANNEL,...",
        ),
        **SETTINGS,
    },
    files={
        "overlay": File(metavar="OVERLAY.png", help="write a picture of the first map with the outlines"),
        "view": VIEW,
    },
    chain="chunkwise.running.chains.objects:run",
)
