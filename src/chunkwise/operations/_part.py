"""Which part of an image, and files beside the result: what operations share, said once."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

from chunkwise.operations.model import Example, File, Image, Operation, Parameter, Table

__all__ = [
    "ALL_SAME_VOXELS",
    "CHANNEL",
    "CHANNELS",
    "FORMATS",
    "FORMATS_ARE",
    "LEVEL",
    "PART",
    "PIECE",
    "PLANES",
    "REGION",
    "SAME_VOXELS",
    "TABLE",
    "TIME",
    "TYPES",
    "VIEW",
    "in_both",
    "of_image",
]


LEVEL: Final = Parameter(str, "0", "Resolution level", "resolution: 0 is the full one", metavar="N")
CHANNEL: Final = Parameter(
    str, None, "Channel", "channel, by name or number; required if there are several", metavar="NAME|N"
)
CHANNELS: Final = replace(
    CHANNEL,
    label="Channels",
    help="channel, by name or number; may be given several times",
    several=True,
    default_words="all",
)
TIME: Final = Parameter(
    str,
    None,
    "Time points",
    "one time point, or those from A up to, but not including, B",
    metavar="N|A:B",
    default_words="all",
)
REGION: Final = Parameter(
    str,
    None,
    "Region",
    "cut first, then work as if the cut were the image; in voxels of the level, ends not included (for 2-D images: "
    "y0:y1,x0:x1)",
    metavar="z0:z1,y0:y1,x0:x1",
)
#: Of what copies, where the cut is all that there is.
PIECE: Final = {
    "level": LEVEL,
    "channel": CHANNELS,
    "time": TIME,
    "region": replace(
        REGION, help="in voxels of the level, ends not included (for 2-D images: y0:y1,x0:x1)", default_words="all"
    ),
}
PLANES: Final = Parameter(
    bool, False, "Plane by plane", "treat each plane (y, x) of a volume on its own, as if it were an image"
)
SAME_VOXELS: Final = Parameter(
    bool,
    False,
    "Ignore differences in scale and position",
    "the two images show the same voxels, whatever their metadata say about scale, unit and place; their shapes "
    "still have to agree",
    default_words="all of that has to agree",
)
ALL_SAME_VOXELS: Final = replace(SAME_VOXELS, help=SAME_VOXELS.help.replace("the two images show", "all images show"))

#: Types of voxels that an operation may be asked for.
TYPES: Final = {
    "uint8": "8-bit: whole numbers from 0 to 255",
    "uint16": "16-bit: whole numbers from 0 to 65535",
    "uint32": "32-bit: whole numbers from 0 to 4294967295",
    "int16": "16-bit with sign: whole numbers from -32768 to 32767",
    "int32": "32-bit with sign: whole numbers from -2147483648 to 2147483647",
    "float32": "32-bit floating point: numbers with fractions",
    "float64": "64-bit floating point: more digits, twice the space",
}

#: What an image can be written as: endings by the names of the formats.
FORMATS: Final = {"zarr": ".ome.zarr", "ozx": ".ozx", "ome-tiff": ".ome.tiff", "tiff": ".tiff", "png": ".png"}
FORMATS_ARE: Final = (
    "of the result: ozx is an OME-Zarr in one zip file, ome-tiff a TIFF with a pyramid and OME-XML, tiff one for "
    "ImageJ, png a picture of one plane (default: by its name, otherwise zarr)"
)

#: Of objects, as it is read.
TABLE: Final = Table(
    option=True,
    label="Table of measurements",
    metavar="TABLE.tsv",
    help="a table with a row for each object and the column label (where there are several time points, also t), as "
    "'chunkwise measure' writes it: TSV, CSV or Parquet",
)

VIEW: Final = File(
    metavar="VIEW.html", help="write the image with its labels as one page to browse: move, zoom, click an object"
)

#: Of operations that are made of a kernel.
PART: Final = {"level": LEVEL, "channel": CHANNELS, "time": TIME, "region": REGION, "planes": PLANES}

#: An operation on an image as most are, unless it says otherwise: each channel is done alone, the type stays, and the
#: result is equal to the bit.
of_image: Final = partial(Operation, part=PART, takes={"image": Image("iuf")}, gives=Image(), exact={"iuf": "bit"})


def in_both(**values: Any) -> tuple[Example, Example]:
    """Examples of a plane and of a stack, with the same values."""
    return Example("coins_2d.ome.zarr", values), Example("cells_zyx_v04.ome.zarr", values)
