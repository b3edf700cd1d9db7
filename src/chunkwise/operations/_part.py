"""Which part of an image: the parameters that operations share, said once."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from chunkwise.operations.model import Parameter

__all__ = ["CHANNEL", "CHANNELS", "LEVEL", "PART", "PLANES", "REGION", "SAME_VOXELS", "TIME"]


LEVEL: Final = Parameter(str, "0", "Resolution level", "resolution: 0 is the full one", metavar="N")
CHANNEL: Final = Parameter(
    str, None, "Channel", "channel, by name or number; needed where there are several", metavar="NAME|N"
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
PLANES: Final = Parameter(
    bool, False, "Plane by plane", "treat each plane (y, x) of a volume alone, as if it were an image"
)
SAME_VOXELS: Final = Parameter(
    bool,
    False,
    "Same voxels, whatever the metadata say",
    "the two images show the same voxels, whatever their metadata say of scale, unit and place; their shapes still "
    "have to agree",
    default_words="all of that has to agree",
)

#: Of operations that are made of a kernel.
PART: Final = {"level": LEVEL, "channel": CHANNELS, "time": TIME, "region": REGION, "planes": PLANES}
