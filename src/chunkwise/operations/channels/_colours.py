"""How conversions of colours are declared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Operation, Parameter

#: All but the planes: a voxel's colour is its own.
WHERE: Final = {name: one for name, one in PART.items() if name != "planes"} | {
    "channel": replace(
        PART["channel"], help=f"{PART['channel'].help}; of merge for all images, or for one of them, as in b=GFP"
    )
}
NAMES: Final = Parameter(
    str,
    None,
    "New names",
    "new names of the channels, separated by commas, in the order of the result",
    metavar="NAME,NAME",
    default_words="the old ones",
)
DTYPE: Final = Parameter(
    str,
    "float32",
    "Type of the result",
    "voxel type of the result",
    choices=("float32", "float64"),
)


def conversion(name: str, title: str, does: str, *, equals: str, **more: Any) -> Operation:
    """Declare what a function of scikit-image makes of red, green and blue."""
    parameters = more.pop("parameters", {})
    values = more.pop("values", {})
    return Operation(
        name=name,
        family="channels",
        title=title,
        does=does,
        part=WHERE,
        parameters={**parameters, "dtype": DTYPE},
        takes={"image": Image("uf")},
        gives=Image(dtype=lambda _, dtype, **__: dtype, contrast="new"),
        mixes=3,
        chain="chunkwise.running.chains.channels:run",
        reach=lambda **_: 0,
        equals=f"{equals}.astype(dtype)",
        examples=(
            Example("tissue_rgb.ome.zarr", values),
            Example("tissue_rgb.ome.zarr", {**values, "dtype": "float64"}),
        ),
        **more,
    )
