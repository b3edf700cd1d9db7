"""Writing a unit of an output's full resolution, whose content goes into the log; and what the log adds up to."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Box
from chunkwise.blocks.passes import BlockResult
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage
from chunkwise.ops.content import Content, combine, summarise, zeros
from chunkwise.storage.writer import StoredObject, write_box

__all__ = ["FULL", "content_of", "empty_unit", "write_unit"]

Array = np.ndarray[Any, Any]

#: Key of the array of the full resolution.
FULL = "0"


def write_unit(run: Run, output: OutputImage, box: Box, volumes: Mapping[int, Array], array: str = FULL) -> BlockResult:
    """Write a box of some volumes into the run's store.

    Parameters
    ----------
    run, output
        Where to.
    box : tuple of slice
        Of each of the volumes; whole shards.
    volumes : mapping of int to ndarray
        Voxels of the box, by the volume's number.
    array : str
        Key of another array of the same layout, below ``scratch/``: it has no content that anybody asks for.
    """
    layout = output.layout(0)
    objects: list[StoredObject] = []
    contents: list[Content] = []
    for volume, data in volumes.items():
        full, shaped = output.place(volume, box, data)
        key = f"{output.prefix}{array}" if array == FULL else array
        objects += write_box(run.place(array), key, layout, full, shaped)
        if array == FULL and not output.prefix:
            contents.append(summarise(shaped, full, layout.shape))
    return BlockResult(tuple(objects), content=reduce(combine, contents).to_json() if contents else None)


def empty_unit(output: OutputImage, box: Box) -> BlockResult:
    """The same of a box of one volume that holds nothing but zeros, which no object is written for."""
    voxels = prod(part.stop - part.start for part in box)
    return BlockResult(content=zeros(output.dtype, voxels).to_json())


def content_of(run: Run, output: OutputImage) -> Content | None:
    """Add up what the log says of the full resolution.

    Returns
    -------
    Content or None
        None where some unit's line does not say it: a run that an earlier chunkwise began.
    """
    total = zeros(output.dtype, 0)
    for row in run.contents():
        part = Content.from_json(row)
        total = combine(total, part) if total.voxels else part
    return total if total.voxels == prod(output.shape) else None
