"""A kernel that needs the ends of a whole volume first gets them, and those of a block are caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chunkwise.operations._part import PART
from chunkwise.operations.model import Example, Image, Operation
from operations import harness


def rescale(image: Any, *, low: Any, high: Any) -> Any:
    return ((image.astype("float64") - float(low)) / (float(high) - float(low))).astype("float32")


RESCALE = Operation(
    name="rescale",
    family="intensity",
    title="Rescaling",
    does="spreads a volume from 0 to 1",
    part=PART,
    takes={"image": Image("iuf")},
    gives=Image(dtype="float32"),
    kernel=rescale,
    needs={"low": "minimum", "high": "maximum"},
    reach=lambda: 0,
    equals="((image.astype(float) - float(image.min())) / (float(image.max()) - float(image.min()))).astype('float32')",
    exact={"iuf": "bit"},
    examples=(Example("coins_2d.ome.zarr"),),
)


def test_the_ends_of_a_volume(tmp_path: Path) -> None:
    harness.check_blocks(RESCALE, "int16")
    assert harness.per_block_statistics_are_caught(RESCALE)
    harness.check_run(RESCALE, tmp_path)
