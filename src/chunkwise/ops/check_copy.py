"""Comparing a copy with what it was made from, when all of it is written: every voxel, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Box
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.errors import InputError
from chunkwise.ngff.layout import OutputImage
from chunkwise.ops.local import LocalVolumes
from chunkwise.storage.arrays import open_array
from chunkwise.storage.writer import json_bytes, put_object

__all__ = ["check_copy", "first_difference"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _CheckPass:
    volumes: LocalVolumes
    output: OutputImage
    run: Run


def check_copy(volumes: LocalVolumes, output: OutputImage, job: Job, name: str = "check") -> dict[str, Any]:
    """Read source and copy once more, the copy from where it was written, and compare all voxels.

    Parameters
    ----------
    volumes : LocalVolumes
        What was copied.
    output : OutputImage
        As it was written; its full resolution is compared, of which the levels below were made.
    job : Job
        Where the work is done, and what is done already.
    name : str
        Of the pass.

    Returns
    -------
    dict
        For the record: ``voxels`` and ``blocks`` that were compared, and ``different`` ones, 0.

    Raises
    ------
    InputError
        With the place of the first voxel that differs: the run would make the same mistake if it went on.
    ResumableError
        If the run stopped in the middle.
    """
    # The array has to be readable while the store's own documents are still to come.
    put_object(job.run.store, f"{output.prefix}0/zarr.json", json_bytes(output.layout(0).document()))
    work, count = _CheckPass(volumes, output, job.run), volumes.n_groups * volumes.grid.n_blocks
    known = volumes.grid if volumes.together == 1 else None
    found = map_pass(job, volumes.name_of(name), _compare, work, count, voxels=volumes.voxels, grid=known)
    if found:
        block = min(found)
        place, here, there = found[block]
        raise InputError(
            f"The result is not equal to {volumes.source.array.address} at {place}, where {there} was written in the "
            f"place of {here}; {len(found)} of {count} blocks differ, and nothing of the result is kept: give the same "
            "command again to start over, and if it differs again, have the memory and the disk of this machine tested."
        )
    return {"voxels": volumes.voxels, "blocks": count, "different": 0}


def _compare(work: _CheckPass, number: int) -> BlockResult:
    volumes, output = work.volumes, work.output
    group, block = divmod(number, volumes.grid.n_blocks)
    box = volumes.grid.block_box(block)
    copy = open_array(work.run.store.child(f"{output.prefix}0"))
    for volume, wanted in volumes.read_group(group, box).items():
        full = output.place_box(volume, box)
        found = copy.read(full).reshape(tuple(part.stop - part.start for part in box))
        index = first_difference(wanted, found)
        if index is not None:
            return BlockResult(data=[_words(output, full, index), str(wanted[index]), str(found[index])])
    return BlockResult()


def first_difference(a: Array, b: Array) -> tuple[int, ...] | None:
    """Find the first voxel in which two arrays differ; None where there is none.

    Parameters
    ----------
    a, b : ndarray
        Of one shape and type.

    Returns
    -------
    tuple of int or None
        Where it is. What is not a number is equal to what is not a number, and -0.0 to 0.0.
    """
    if a.shape != b.shape or a.dtype != b.dtype:
        raise AssertionError(f"{a.dtype} of {a.shape} cannot be compared with {b.dtype} of {b.shape}")
    if np.array_equal(_bits(a), _bits(b)):  # nearly always, and fast
        return None
    differ = a != b
    if a.dtype.kind == "f":
        differ &= ~(np.isnan(a) & np.isnan(b))
    if not differ.any():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(differ)), differ.shape))


def _bits(voxels: Array) -> Array:
    return np.ascontiguousarray(voxels).view(f"u{voxels.dtype.itemsize}")


def _words(output: OutputImage, full: Box, index: tuple[int, ...]) -> str:
    """Name a voxel by all axes of the result."""
    space = iter(index)
    return ", ".join(
        f"{axis.name} {part.start + next(space) if axis.type == 'space' else part.start}"
        for axis, part in zip(output.axes, full, strict=True)
    )
