"""An expression over images on one grid."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from chunkwise.operations._part import ALL_SAME_VOXELS, CHANNELS, LEVEL, REGION, TIME
from chunkwise.operations.model import Family, Image, Operation, Parameter
from chunkwise.operations.project._axis import DTYPE

__all__ = ["FAMILY", "OPERATION", "calculate"]

FAMILY = Family(
    name="math",
    title="Calculate with images",
    line="an expression over up to eight images: differences, ratios, masks",
    summary="calculate with up to eight images on one grid: differences, ratios, comparisons, masks",
    about="""\
Calculate with up to eight images on one grid, voxel by voxel: an expression such as (a - b) / 2.

IMAGE is a in the expression; --b to --h name the others. All have to have the same shape, scale and place. An
expression has numbers, + - * / // % **, comparisons, and, or, not (of masks), pi, inf, nan, and the functions abs,
sqrt, exp, log, min, max, clip(a, low, high) and where(mask, a, b). It is calculated with 64-bit floats, so that
nothing wraps around. A comparison makes a mask; a mask counts as 0 and 1 where numbers are meant.

  chunkwise math gfp.ome.zarr --b background.ome.zarr --expression "max(a - b, 0)" --output corrected.ome.zarr
  chunkwise math c.ome.zarr --b c.ome.zarr --channel a=GFP --channel b=DAPI --expression "a / b" --output r.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="what is calculated",
    part_group="which part of the images",
)


def calculate(images: Any, *, expression: str, letters: str, dtype: str) -> Any:
    """Calculate an expression over blocks of images, some voxels at once; gives one channel."""
    import numpy as np

    from chunkwise.operations.intensity.cast import cast
    from chunkwise.ops.colour import AT_ONCE
    from chunkwise.ops.expression import evaluate, parse

    tree, flat = parse(expression), [image.reshape(-1) for image in images]
    out = np.empty(flat[0].shape, dtype)
    for start in range(0, out.size, AT_ONCE):
        part = slice(start, start + AT_ONCE)
        found = evaluate(tree, expression, {letter: one[part] for letter, one in zip(letters, flat, strict=True)})
        if dtype == "bool":
            out[part] = found
        else:
            with np.errstate(over="ignore"):  # infinite, and counted
                out[part] = cast(found.astype(np.float64), dtype=dtype)
    return out.reshape(1, *images[0].shape)


OPERATION = Operation(
    name="math",
    family="math",
    title="Calculation",
    does="calculates an expression over images",
    takes={
        "image": Image(help="the first image, a in the expression: path, URL or reference"),
        **{
            letter: Image(
                option=True,
                optional=True,
                label=f"Image {letter}",
                metavar="IMAGE",
                help=f"the image that is {letter} in the expression",
            )
            for letter in "bcdefgh"
        },
    },
    gives=Image(),
    parameters={
        "expression": Parameter(
            str,
            None,
            "Expression",
            "what is calculated: a is the first image, b to h are the others",
            metavar="EXPRESSION",
            required=True,
        ),
        "dtype": replace(DTYPE, default_words="float32; bool for a mask"),
    },
    part={
        "level": LEVEL,
        "channel": replace(
            CHANNELS,
            label="Channels",
            help="channel of all images, by name or number, or of one of them, as in a=GFP; may be given several times",
        ),
        "time": TIME,
        "region": replace(REGION, help="cut all images first; in voxels of the level, ends not included"),
        "same_voxels": ALL_SAME_VOXELS,
    },
    chain="chunkwise.running.chains.math:run",
    rounds=lambda expression, **_: any(word in expression for word in ("exp", "log", "**")),
)
