"""Channels of several images on one grid, as those of one."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import ALL_SAME_VOXELS
from chunkwise.operations.channels._colours import NAMES, WHERE
from chunkwise.operations.model import Example, Image, Operation, Parameter


def leave(images: Any, **_: Any) -> Any:
    """Give a channel of the result, of the one that is read, as it is; which that is, is seen to by the chain."""
    return images[0][None]


def _other(letter: str) -> Image:
    return Image(
        "biuf",
        option=True,
        optional=letter != "b",
        label=f"Image {letter}",
        metavar="IMAGE",
        help="an image whose channels follow: of the same voxel type, shape, scale and place",
    )


OPERATION = Operation(
    name="merge",
    family="channels",
    title="Merging of images into channels",
    does="puts up to eight images on one grid into one image as its channels, in the order in which they are given, "
    "with their names, colours and contrast",
    part={**WHERE, "same_voxels": ALL_SAME_VOXELS},
    parameters={
        "names": NAMES,
        "colors": Parameter(
            str,
            None,
            "New colours",
            "colours of the channels, each as six hexadecimal digits, separated by commas, in the order of the "
            "result, such as 00FF00,FF00FF for green and magenta",
            metavar="RRGGBB,RRGGBB",
            default_words="those of the images; where one has none, or two have the same, colours that are easily told "
            "apart",
        ),
    },
    takes={"image": Image("biuf"), **{letter: _other(letter) for letter in "bcdefgh"}},
    gives=Image(),
    mixes=0,
    chain="chunkwise.running.chains.merge:run",
    equals="numpy.concatenate((image, b))",
    exact={"biuf": "bit"},
    examples=(
        Example(
            "tissue_rgb.ome.zarr",
            {"names": "red,green,blue,again red,again green,again blue"},
            inputs={"b": "tissue_rgb.ome.zarr"},
        ),
    ),
)
