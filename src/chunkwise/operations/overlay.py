"""Labels over an image, as a picture or an RGB image."""

from dataclasses import replace

from chunkwise.operations._part import CHANNELS, LEVEL, REGION, SAME_VOXELS, TABLE, TIME
from chunkwise.operations.model import Family, Image, Labels, Operation, Parameter

__all__ = ["FAMILY", "OPERATION"]

FAMILY = Family(
    name="overlay",
    title="Draw labels on an image",
    line="outlines or areas in colour, with numbers: a picture, or an image to browse",
    summary="draw the objects of a label image on the image: a PNG, or an RGB image of full resolution",
    about="""\
Draw the objects of a label image on the image: their outlines or areas, each in its colour.

A PNG shows one plane of one time point; its level is chosen so that the picture is of a readable size, and is printed.
An OME-Zarr holds every plane and time point as red, green and blue, and is made block by block.
Colours mean nothing but that two objects differ, or, with --table and --column, how large a measurement is.

  chunkwise overlay nuclei.ome.zarr --labels labels.ome.zarr --output overview.png --numbers
  chunkwise overlay nuclei.ome.zarr --labels labels.ome.zarr --output drawn.ome.zarr --style filled --opacity 0.4
  chunkwise overlay nuclei.ome.zarr --labels labels.ome.zarr --output by_size.png --table t.tsv --column num_pixels
""",
    edam="operation_0337",
    group="how objects are drawn",
    part_group="which part of both",
)

OPERATION = Operation(
    name="overlay",
    family="overlay",
    title="Overlay",
    does="draws the objects of a label image on the image",
    takes={
        "image": Image("biuf"),
        "labels": Labels("biu", option=True, help="the label image: path or URL of an OME-Zarr, or a reference"),
        "table": replace(
            TABLE, optional=True, help=f"{TABLE.help}; its numbers in --column give objects their colours"
        ),
    },
    gives=Image(
        dtype="uint8",
        metavar="OUT.png|.ome.zarr",
        label="picture or image",
        formats={"zarr": ".ome.zarr", "ozx": ".ozx", "png": ".png"},
        help="of the result: png is a picture of one plane, zarr an RGB image, ozx the same in one zip file (default: "
        "by its name, otherwise zarr)",
    ),
    parameters={
        "style": Parameter(
            str,
            "outlines",
            "Draw",
            "what is drawn of the objects",
            choices={"outlines": "outlines", "filled": "filled objects"},
        ),
        "mode": Parameter(
            str,
            "inner",
            "Outlines lie",
            "which voxels outlines cover",
            choices={"inner": "on the objects", "thick": "on the objects and around them"},
        ),
        "width": Parameter(int, 1, "Width of the outlines", "of outlines", unit="voxel", least=1, most=32),
        "opacity": Parameter(
            float, 1.0, "Opacity", "how much the colours hide the image: 0 not at all, 1 fully", least=0, most=1
        ),
        "color": Parameter(
            str,
            None,
            "One colour for all",
            "colour of all objects, as six hexadecimal digits such as FFD700",
            metavar="RRGGBB",
            default_words="each object has its own",
        ),
        "column": Parameter(
            str,
            None,
            "Colours by column",
            "column of --table by whose numbers objects are coloured, such as num_pixels; objects without a number are "
            "grey, and are named",
            metavar="NAME",
        ),
        "colormap": Parameter(
            str,
            "viridis",
            "Colour map",
            "with --column: colours from the lowest number to the highest, as Matplotlib has them",
            choices={
                "viridis": "from violet over green to yellow",
                "magma": "from black over red to a light yellow",
            },
        ),
        "low": Parameter(
            float,
            None,
            "First colour",
            "with --column: number that has the first colour, and all below it",
            default_words="the smallest in the table at these time points",
        ),
        "high": Parameter(
            float,
            None,
            "Last colour",
            "with --column: number that has the last colour, and all above it",
            default_words="the largest in the table at these time points",
        ),
        "numbers": Parameter(
            bool,
            False,
            "Write the numbers",
            "of a PNG: write the number of each object on it, if there is room for all of them; tiny pictures grow",
        ),
        "black": Parameter(
            float,
            None,
            "Shown as black",
            "value that is shown as black",
            default_words="one voxel in a thousand is darker",
        ),
        "white": Parameter(
            float, None, "Shown as white", "value that is shown as white", default_words="one in a thousand is brighter"
        ),
    },
    part={
        "level": replace(
            LEVEL,
            default=None,
            label="Resolution level of the labels",
            help="resolution of the labels; 0 is the full one",
            default_words="0; of a PNG of the whole image, the finest of at most 2048 pixels",
        ),
        "channel": replace(
            CHANNELS,
            label="Channels of the image",
            help="channel of the image, by name or number; may be given several times",
        ),
        "time": TIME,
        "region": replace(REGION, help="part of both, in voxels of the level, ends not included", default_words="all"),
        "z": Parameter(int, None, "Plane", "of a PNG: which plane, from 0", least=0, default_words="the middle one"),
        "same_voxels": SAME_VOXELS,
    },
    chain="chunkwise.running.chains.overlay:run",
)
