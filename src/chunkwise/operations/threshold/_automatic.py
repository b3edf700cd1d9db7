"""Thresholds that are found from a whole volume: one declaration each, made here."""

from __future__ import annotations

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Mask, Operation
from chunkwise.operations.threshold._foreground import FOREGROUND
from chunkwise.operations.threshold.value import value


def automatic(name: str, title: str, does: str, floats: str = "bit") -> Operation:
    """Declare a threshold of scikit-image's, which is found first, and then is the number to compare with."""
    return Operation(
        name=name,
        family="threshold",
        title=title,
        does=does,
        part=PART,
        parameters={"foreground": FOREGROUND},
        takes={"image": Image("iuf")},
        gives=Mask(),
        kernel=value,
        needs={"threshold": name},
        reach=lambda **_: 0,
        working_set=1.0,
        equals=f"(image > skimage.filters.threshold_{name}(image)) == (foreground == 'bright')",
        exact={"iu": "bit", "f": floats},
        examples=(Example("coins_2d.ome.zarr"), Example("cells_zyx_v04.ome.zarr", {"foreground": "dark"})),
    )
