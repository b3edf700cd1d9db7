"""How conversions of colours are declared."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, Final

from chunkwise.operations._part import PART, TYPES
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
    choices={name: TYPES[name] for name in ("float32", "float64")},
)


def turned(function: str, image: Any, **values: Any) -> Any:
    """Apply a function of :mod:`chunkwise.ops.colour`."""
    from chunkwise.ops import colour

    return getattr(colour, function)(image, **values)


#: What a function of scikit-image makes of red, green and blue.
conversion: Final = partial(
    Operation,
    family="channels",
    part=WHERE,
    parameters={"dtype": DTYPE},
    takes={"image": Image("uf")},
    gives=Image(dtype=lambda _, dtype, **__: dtype, contrast="new"),
    mixes=3,
    chain="chunkwise.running.chains.channels:run",
    examples=(Example("tissue_rgb.ome.zarr"), Example("tissue_rgb.ome.zarr", {"dtype": "float64"})),
)
