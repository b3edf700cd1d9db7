"""Objects by smoothing, threshold and connected components."""

from __future__ import annotations

from typing import Final

from chunkwise.operations._part import CHANNEL, LEVEL, REGION, TIME
from chunkwise.operations.model import Family, File, Image, Labels, Operation, Parameter

__all__ = ["CONNECTIVITY", "FAMILY", "FILL_HOLES", "METHODS", "OPERATION"]

METHODS: Final = ("otsu", "li", "triangle", "yen", "isodata", "mean")


CONNECTIVITY: Final = Parameter(
    int,
    None,
    "Neighbours",
    "along how many axes at once a step may go inside one object: 1 joins voxels that share a face, the number of axes "
    "also those that share a corner",
    least=1,
    most=3,
    default_words="the number of axes",
)
FILL_HOLES: Final = Parameter(bool, False, "Fill holes", "fill holes that are enclosed on every side")

FAMILY = Family(
    name="segment",
    title="Segment objects",
    summary="find objects by smoothing, threshold and connected components",
    about="""\
Find objects: smooth the image, take a threshold, and label what is connected.

The image is read where it lies, block by block, and the result is the same as on the whole image,
voxel for voxel: objects that cross the borders of blocks are one object, and the threshold is that
of the whole volume. Every time point is a volume of its own, with its own threshold and its objects
numbered from 1. The result is a label image (OME-Zarr 0.5): 0 is background, n is object n.

  chunkwise segment nuclei.ome.zarr --output labels.ome.zarr --channel DAPI --fill-holes --min-size 50

A run that was stopped goes on where it stopped when the same command is given again.
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
            float, 1.0, "Smoothing", "smoothing, in voxels; 0 for none", unit="voxel", least=0, most=9999
        ),
        "threshold": Parameter(
            float,
            "otsu",
            "Threshold",
            "how the threshold is found, from the whole smoothed volume; or its value",
            choices=METHODS,
        ),
        "foreground": Parameter(
            str,
            "bright",
            "Objects are",
            "objects are brighter than the threshold, or not brighter",
            choices=("bright", "dark"),
        ),
        "connectivity": CONNECTIVITY,
        "fill_holes": FILL_HOLES,
        "min_size": Parameter(
            int,
            0,
            "Smallest object",
            "drop objects of fewer than N voxels, after splitting where that is asked for",
            unit="voxel",
            least=0,
            most=2**62,
            default_words="keep all",
        ),
        "split": Parameter(
            str,
            None,
            "Part objects that touch",
            "cut objects that touch apart: distance parts them at their waists, by a watershed from the places that "
            "lie deepest inside, with the voxels' physical size respected",
            choices=("distance",),
            default_words="leave them together",
        ),
        "split_min_distance": Parameter(
            int,
            7,
            "Distance of two middles",
            "voxels that the middles of two parts lie apart, at least; a larger number gives fewer parts",
            unit="voxel",
            least=1,
            most=2**31,
        ),
    },
    files={"overlay": File(metavar="OVERLAY.png", help="write a picture of the image with the outlines on it")},
    chain="chunkwise.running.chains.segment:run",
    rate=lambda values: 0.049 if values["split"] else 0.023,
)
