"""Thresholds that are found from a whole volume: one declaration each, made here."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.model import Example, Mask, Operation
from chunkwise.operations.threshold._foreground import FOREGROUND, OFFSET, compare


def automatic_threshold(image: Any, *, threshold: Any, offset: float, foreground: str) -> Any:
    """Compare every voxel with the number that was found."""
    return compare(image, threshold - offset, foreground)


def automatic(name: str, title: str, does: str, floats: str = "bit") -> Operation:
    """Declare a threshold of scikit-image's, which is found first, and then is the number to compare with."""
    return of_image(
        name=name,
        family="threshold",
        title=title,
        does=does,
        parameters={"offset": OFFSET, "foreground": FOREGROUND},
        gives=Mask(),
        kernel=automatic_threshold,
        needs={"threshold": name},
        equals=f"(image > skimage.filters.threshold_{name}(image) - offset) == (foreground == 'bright')",
        exact={"iu": "bit", "f": floats},
        examples=(Example("coins_2d.ome.zarr"), Example("cells_zyx_v04.ome.zarr", {"foreground": "dark"})),
    )
