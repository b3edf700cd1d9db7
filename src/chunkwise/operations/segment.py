"""Objects by smoothing, threshold and connected components."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from chunkwise.operations._part import CHANNEL, LEVEL, REGION, TIME, VIEW
from chunkwise.operations.model import Family, File, Image, Labels, Operation, Parameter

__all__ = ["CONNECTIVITY", "FAMILY", "FILL_HOLES", "METHODS", "MIN_DISTANCE", "OPERATION"]

METHODS: Final = {
    "otsu": "clear difference between objects and background",
    "li": "faint objects on a dark background",
    "triangle": "few objects on a large background",
    "yen": "objects of very different brightness",
    "isodata": "halfway between the mean of the objects and that of the background",
    "mean": "mean of the image",
}


CONNECTIVITY: Final = Parameter(
    int,
    None,
    "Neighbours",
    "how many axes a step between neighbours may change: 1 joins voxels that share a face, the number of axes also "
    "those that share only a corner",
    least=1,
    most=3,
    default_words="the number of axes",
)
MIN_DISTANCE: Final = Parameter(
    int,
    7,
    "Distance between centres",
    "least distance between the seeds of two parts, in voxels; a larger number gives fewer parts",
    unit="voxel",
    measures="step",
    least=1,
    most=2**31,
)
FILL_HOLES: Final = Parameter(bool, False, "Fill holes", "fill holes that are enclosed on every side")

FAMILY = Family(
    name="segment",
    title="Segment objects",
    summary="find objects by smoothing, threshold and connected components",
    about="""\
Find objects: smooth the image, apply a threshold, and label what is connected.

The image is read in place, block by block, and the result is the same as on the whole image,
voxel for voxel: objects that cross the borders of blocks are one object, and the threshold is that
of the whole volume. Every time point is a separate volume, with its own threshold and its objects
numbered from 1. The result is a label image (OME-Zarr 0.5): 0 is background, n is object n.

  chunkwise segment nuclei.ome.zarr --output labels.ome.zarr --channel DAPI --fill-holes --min-size 50

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="what an object is",
)

OPERATION = Operation(
    name="segment",
    family="segment",
    title="Segmentation",
    does="finds objects by smoothing, threshold and connected components",
    takes={"image": Image("biuf")},
    gives=Labels(),
    part={"level": LEVEL, "channel": CHANNEL, "time": TIME, "region": REGION},
    parameters={
        "sigma": Parameter(
            float,
            1.0,
            "Smoothing (sigma)",
            "standard deviation of the smoothing; 0 for none",
            unit="voxel",
            measures="length",
            least=0,
            most=9999,
        ),
        "threshold": Parameter(
            float,
            "otsu",
            "Threshold",
            "the value itself, or how it is found, from the whole smoothed volume",
            choices=METHODS,
        ),
        "foreground": Parameter(
            str,
            "bright",
            "Objects are",
            "what objects are by the threshold",
            choices={"bright": "brighter than the background", "dark": "darker than the background"},
        ),
        "connectivity": CONNECTIVITY,
        "fill_holes": FILL_HOLES,
        "min_size": Parameter(
            int,
            0,
            "Minimum size",
            "remove objects of fewer than N voxels, after splitting if that is asked for",
            unit="voxel",
            measures="content",
            least=0,
            most=2**62,
            default_words="keep all",
        ),
        "split": Parameter(
            str,
            None,
            "Touching objects",
            "split touching objects: distance cuts them where they narrow, by a watershed from the points deepest "
            "inside, taking the physical size of the voxels into account",
            choices=("distance",),
            default_words="leave them together",
        ),
        "split_min_distance": replace(MIN_DISTANCE, only_with="split"),
    },
    files={
        "overlay": File(metavar="OVERLAY.png", help="write a picture of the image with the outlines on it"),
        "view": VIEW,
    },
    chain="chunkwise.running.chains.segment:run",
    rounds=lambda sigma, **_: sigma != 0,
)
