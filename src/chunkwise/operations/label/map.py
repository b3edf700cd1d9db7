"""Measurements painted into the objects."""

from __future__ import annotations

from typing import Any

from chunkwise.operations.label._labels import COLUMN, by_table
from chunkwise.operations.model import Example, Image


def paint(image: Any, *, objects: Any, **_: Any) -> Any:
    """Give every voxel the value of its object, and 0 to the background."""
    import numpy as np

    from chunkwise.ops.label_runs import replace_labels

    def values(ids: Any) -> Any:
        known, found = np.flatnonzero(ids), np.zeros(len(ids), np.float32)
        found[known] = objects["values"][np.searchsorted(objects["ids"], ids[known])]
        return found

    return replace_labels(image, values, np.float32)


OPERATION = by_table(
    name="map",
    title="Map of a measurement",
    does="makes an image (float32) in which every object has its value in a column of a table of measurements; the "
    "background is 0, and an object without a row is not a number",
    parameters={"column": COLUMN},
    gives=Image(dtype="float32", downsampling="nearest"),
    kernel=paint,
    working_set=2.0,
    equals=(
        "skimage.util.map_array(image, numpy.array(table['label'], image.dtype), numpy.array(table[column], 'float32'))"
    ),
    examples=(Example("coins_2d_labels.ome.zarr", {"column": "num_pixels"}, inputs={"table": "coins_2d_labels.tsv"}),),
)
