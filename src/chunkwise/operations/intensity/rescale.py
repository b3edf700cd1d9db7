"""The range between two percentiles, over the whole type."""

from __future__ import annotations

from typing import Any

from chunkwise.operations._part import of_image
from chunkwise.operations.intensity._range import DTYPE, SPREAD, spread
from chunkwise.operations.model import Example, Image, Parameter


def rescale(image: Any, *, low: Any, high: Any, dtype: str, **_: Any) -> Any:
    """Spread what lies between the two; see :mod:`chunkwise.ops.percentiles` for where they come from."""
    return spread(image, low, high, dtype)


def refuses(low_percentile: float, high_percentile: float, **_: Any) -> str:
    """Refuse a range that ends before it begins."""
    if low_percentile < high_percentile:
        return ""
    return f"--low-percentile {low_percentile:g} has to be smaller than --high-percentile {high_percentile:g}."


def _percentile(default: float, end: str, becomes: str) -> Parameter:
    words = f"{end} end of the range: the value below which this percentage of the voxels lies; it becomes {becomes}"
    return Parameter(float, default, f"{end.capitalize()} percentile", words, unit="percent", least=0, most=100)


OPERATION = of_image(
    name="rescale",
    family="intensity",
    title="Rescaling by percentiles",
    does="stretches the range between two percentiles of the volume to 0 to 1, or to an integer type's largest value",
    parameters={
        "low_percentile": _percentile(0.0, "lower", "0"),
        "high_percentile": _percentile(100.0, "upper", "1, or the type's largest value"),
        "dtype": DTYPE,
    },
    refuses=refuses,
    gives=Image(dtype=lambda _, dtype, **__: dtype, contrast="new"),
    kernel=rescale,
    needs={"low": "percentile low_percentile", "high": "percentile high_percentile"},
    working_set=8.0,
    equals=SPREAD.format("(numpy.percentile(image, low_percentile), numpy.percentile(image, high_percentile))"),
    examples=(
        Example("coins_2d.ome.zarr", {"low_percentile": 1.0, "high_percentile": 99.0, "dtype": "uint8"}),
        Example("cells_zyx_v04.ome.zarr", {"high_percentile": 99.8, "dtype": "float32"}),
    ),
)
