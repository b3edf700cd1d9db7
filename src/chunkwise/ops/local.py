"""The one chain of a declared kernel: block and halo in, block out; statistics first where it needs some; pyramid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.grid import Box
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass, reduce_pass
from chunkwise.blocks.run import Run
from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.pyramid import write_pyramid
from chunkwise.ops.find_threshold import find_thresholds, widen
from chunkwise.ops.threshold import METHODS
from chunkwise.ops.volumes import WORTH_RIMS, HaloedVolumes
from chunkwise.ops.write_unit import write_unit

__all__ = ["LocalVolumes", "apply_kernel", "apply_locally"]

Array = np.ndarray[Any, Any]
Kernel = Callable[..., Any]


@dataclass(frozen=True)
class LocalVolumes(HaloedVolumes):
    """The volumes of a cut, all channels of a time point one after the other, and what is done to each."""

    channels: tuple[int, ...]
    kernel: Kernel
    values: Mapping[str, Any]
    """Arguments of the kernel."""
    far: tuple[int, ...]
    """How far the kernel looks along each axis."""
    planes: bool
    """Whether each plane is done alone; then nothing is looked at along the other axis."""
    dtype: str
    """Of the result."""
    needs: Mapping[str, str]
    """Arguments of the kernel that are statistics of the volume."""
    found: tuple[Mapping[str, Any], ...] = ()
    """These statistics, of each volume."""

    @property
    def n_volumes(self) -> int:
        """Time points times channels."""
        return self.source.volumes * len(self.channels)

    @property
    def reach(self) -> tuple[int, ...]:
        """Thickness of the halo along each axis."""
        return self.far

    def read_box(self, volume: int, box: Box) -> Array:
        """Read a box of a channel."""
        time, channel = divmod(volume, len(self.channels))
        return replace(self.source, channel=self.channels[channel]).read(time, box)

    def compute(self, number: int) -> Array:
        """Read a block with its halo, and do what is to be done.

        Raises
        ------
        InputError
            If the kernel gives something else than it was declared to.
        """
        voxels, inner = self.with_halo(number)
        volume, block = self.place(number)
        known = self.found[volume] if self.found else {}
        box = ",".join(f"{part.start}:{part.stop}" for part in self.grid.block_box(block))
        return apply_kernel(self.kernel, voxels, {**self.values, **known}, self.planes, self.dtype, box)[inner]


def apply_kernel(kernel: Kernel, voxels: Array, values: Mapping[str, Any], planes: bool, dtype: str, box: str) -> Array:
    """Call a kernel, on each plane alone where that is asked for, and hold it to what was declared.

    Parameters
    ----------
    kernel : callable
        ``kernel(voxels, **values)``.
    voxels : ndarray
        2-D or 3-D.
    values : mapping
        Its arguments.
    planes : bool
        Whether each plane is done alone.
    dtype : str
        That it has to return.
    box : str
        What the block is called in an error.

    Returns
    -------
    ndarray
        Of the same shape, and of ``dtype``.

    Raises
    ------
    InputError
        If the kernel fails, or gives another shape or type.
    """
    parts = list(voxels) if planes and voxels.ndim == 3 else [voxels]
    made = []
    for part in parts:
        try:
            found = np.asarray(kernel(part, **values))
        except (ChunkwiseError, MemoryError, OSError):
            raise
        except Exception as error:  # whoever wrote the kernel
            said = " ".join(str(error).split())
            raise InputError(f"The operation failed in the block {box}: {type(error).__name__}: {said}") from error
        if found.shape != part.shape or found.dtype != np.dtype(dtype):
            raise InputError(
                f"The operation was declared to give {dtype} voxels of the shape {part.shape} in the block {box}, and "
                f"gave {found.dtype} voxels of the shape {found.shape}."
            )
        made.append(found)
    return made[0] if len(made) == 1 and parts[0] is voxels else np.stack(made)


@dataclass(frozen=True)
class _WritePass:
    volumes: LocalVolumes
    output: OutputImage
    run: Run


def apply_locally(
    volumes: LocalVolumes, output: OutputImage, job: Job, name: str = "write"
) -> tuple[Mapping[str, Any], ...]:
    """Apply a kernel to every volume, into the run's store, and write the levels below.

    Parameters
    ----------
    volumes : LocalVolumes
        What is read, and what is done to it.
    output : OutputImage
        The store to write; as many volumes as there are.
    job : Job
        Where the work is done, and what is done already.
    name : str
        Of the pass that writes.

    Returns
    -------
    tuple of mapping
        The statistics that the kernel was given, of each volume.

    Raises
    ------
    InputError
        If voxels cannot be read, or the kernel gives something else than it was declared to.
    ResumableError
        If the run stopped in the middle.
    """
    if any(volumes.reach):
        # A statistic is a pass of its own; without one, the rims are the only thing that is read twice.
        volumes = volumes.with_rims(job, WORTH_RIMS if volumes.needs else WORTH_RIMS + 1)
    if volumes.needs:
        volumes = replace(volumes, found=_statistics(volumes, job))
    work, grid = _WritePass(volumes, output, job.run), volumes.grid
    count = volumes.n_volumes * grid.n_units
    map_pass(job, name, _write_unit, work, count, voxels=volumes.voxels, grid=grid, units=True)
    write_pyramid(output, job)
    return volumes.found


def _statistics(volumes: LocalVolumes, job: Job) -> tuple[Mapping[str, Any], ...]:
    """What the kernel needs to know of each whole volume, by the names of its arguments."""
    found = {name: find_thresholds(name, volumes, job) for name in volumes.needs.values() if name in METHODS}
    if set(volumes.needs.values()) - found.keys():
        work, groups, size = volumes, volumes.blocks_by_volume(), volumes.voxels
        extents = reduce_pass(job, "extents", _extent, widen, work, groups, _items, voxels=size, grid=volumes.grid)
        for place, name in enumerate(("minimum", "maximum")):
            found[name] = [extents[volume][place] for volume in range(volumes.n_volumes)]
    return tuple(
        {argument: found[name][volume] for argument, name in volumes.needs.items()}
        for volume in range(volumes.n_volumes)
    )


def _extent(volumes: LocalVolumes, number: int) -> tuple[Any, Any]:
    voxels = volumes.read(number)
    return voxels.min(), voxels.max()


def _items(_: int, extent: tuple[Any, Any]) -> list[Any]:
    return [value.item() for value in extent]


def _write_unit(work: _WritePass, number: int) -> BlockResult:
    volumes, grid = work.volumes, work.volumes.grid
    volume, unit = divmod(number, grid.n_units)
    box = grid.unit_box(unit)
    data = np.empty(tuple(part.stop - part.start for part in box), work.output.dtype)
    for block in grid.blocks_of_unit(unit):
        data[inside(grid.block_box(block), box)] = volumes.compute(volume * grid.n_blocks + block)
    return write_unit(work.run, work.output, box, {volume: data})
