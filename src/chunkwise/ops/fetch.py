"""A cut of a stored image as a store of its own: voxels as they are, levels made anew."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.model import Channel
from chunkwise.ngff.pyramid import write_pyramid
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.write_unit import write_unit

__all__ = ["fetch", "memory_of", "omero_of"]

#: Bytes that a worker takes before it reads a voxel: Python, NumPy, tensorstore.
BASE = 300 * 2**20


@dataclass(frozen=True)
class _CopyPass:
    run: Run
    channels: tuple[VolumeSource, ...]
    grid: Grid
    output: OutputImage


def fetch(channels: tuple[VolumeSource, ...], grid: Grid, output: OutputImage, job: Job) -> None:
    """Copy a cut into the run's store, and write the levels below it.

    Parameters
    ----------
    channels : tuple of VolumeSource
        One a channel, of one shape.
    grid : Grid
        Of one volume; its units are whole shards of the output.
    output : OutputImage
        The store to write; as many volumes as time points times channels.
    job : Job
        Where the work is done, and what is done already.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    work = _CopyPass(job.run, channels, grid, output)
    count = output.n_volumes * grid.n_units
    voxels = output.n_volumes * prod(grid.shape)
    map_pass(job, "copy", _copy_unit, work, count, voxels=voxels, grid=grid, units=True)
    write_pyramid(output, job)


def memory_of(grid: Grid, dtype: str) -> int:
    """Project what a worker needs, in bytes: a block, a unit with its encoded form, and the sums of means."""
    size = np.dtype(dtype).itemsize
    return projected_memory(grid, block=2 * size, unit=3 * size, base=BASE)


def _copy_unit(work: _CopyPass, number: int) -> BlockResult:
    volume, unit = divmod(number, work.grid.n_units)
    time, channel = divmod(volume, len(work.channels))
    box = work.grid.unit_box(unit)
    data = np.empty(tuple(part.stop - part.start for part in box), work.output.dtype)
    for block in work.grid.blocks_of_unit(unit):
        inner = work.grid.block_box(block)
        there = tuple(slice(b.start - u.start, b.stop - u.start) for b, u in zip(inner, box, strict=True))
        data[there] = work.channels[channel].read(time, inner)
    return write_unit(work.run, work.output, box, {volume: data})


def omero_of(channels: tuple[Channel, ...], dtype: str) -> dict[str, Any] | None:
    """Make the omero block that carries names, colours and contrast of channels on.

    Parameters
    ----------
    channels : tuple of Channel
        Those of the cut.
    dtype : str
        Of the voxels; its range stands in where the contrast is not known.

    Returns
    -------
    dict or None
        None where the source says nothing about its channels.
    """
    if all(entry.color is None and entry.window is None and entry.name == str(entry.index) for entry in channels):
        return None
    kind = np.dtype(dtype)
    limits = (0.0, 1.0) if kind.kind in "fb" else (float(np.iinfo(kind).min), float(np.iinfo(kind).max))
    entries = []
    for entry in channels:
        start, end = entry.window or limits
        window = {"min": min(start, limits[0]), "max": max(end, limits[1]), "start": start, "end": end}
        entries.append({"label": entry.name, "color": entry.color or "FFFFFF", "window": window, "active": True})
    return {"channels": entries}
