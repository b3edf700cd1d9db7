"""The one chain of a declared kernel: block and halo in, block out; statistics first where it needs some; pyramid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.grid import Box
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass, reduce_pass
from chunkwise.blocks.run import Run
from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.pyramid import write_pyramid
from chunkwise.ops.clahe_passes import find_tiles
from chunkwise.ops.equalize import find_shares
from chunkwise.ops.find_threshold import find_thresholds, widen
from chunkwise.ops.multi_otsu import find_classes
from chunkwise.ops.object_table import find_objects_of
from chunkwise.ops.percentiles import find_percentiles
from chunkwise.ops.threshold import METHODS
from chunkwise.ops.volumes import WORTH_RIMS, HaloedVolumes
from chunkwise.ops.write_unit import write_unit

__all__ = ["LocalVolumes", "apply_kernel", "apply_locally"]

Array = np.ndarray[Any, Any]
Kernel = Callable[..., Any]


def no_kernel(*_: Any, **__: Any) -> Any:
    """Stand in for a kernel where volumes of another class say what is done."""
    raise AssertionError


@dataclass(frozen=True)
class LocalVolumes(HaloedVolumes):
    """The volumes of a cut, all channels of a time point one after the other, and what is done to each."""

    channels: tuple[int, ...]
    dtype: str
    """Of the result."""
    kernel: Kernel = no_kernel
    values: Mapping[str, Any] = field(default_factory=dict)
    """Arguments of the kernel."""
    far: tuple[int, ...] = ()
    """How far the kernel looks along each axis; without it, no farther than the voxel."""
    planes: bool = False
    """Whether each plane is done alone; then nothing is looked at along the other axis."""
    needs: Mapping[str, str | Kernel] = field(default_factory=dict)
    """Arguments of the kernel that are statistics of the volume."""
    found: tuple[Mapping[str, Any], ...] = ()
    """These statistics, of each volume."""
    places: bool = False
    """Whether the kernel is told where a block lies."""
    crops: bool = False
    """Whether the kernel is told which part of the block is wanted, and gives that alone."""
    together: int = 1
    """Channels that are read at once, because they are decoded at once; only where voxels stay as they are."""

    @property
    def n_groups(self) -> int:
        """Volumes, those that are read at once counted as one."""
        return self.n_volumes // self.together

    def name_of(self, name: str) -> str:
        """Name a pass whose numbers count groups; a run that began with others has to do it again."""
        return name if self.together == 1 else f"{name}-{self.together}"

    @property
    def n_volumes(self) -> int:
        """Time points times channels."""
        return self.source.volumes * len(self.channels)

    @property
    def reach(self) -> tuple[int, ...]:
        """Thickness of the halo along each axis."""
        return self.far or (0,) * len(self.grid.shape)

    def read_box(self, volume: int, box: Box) -> Array:
        """Read a box of a channel."""
        time, channel = divmod(volume, len(self.channels))
        return replace(self.source, channel=self.channels[channel]).read(time, box)

    def prepared(self, job: Job) -> Self:
        """The same, with all that is known before the first block is written: rims, and statistics of the volumes."""
        volumes = self
        if any(volumes.reach):
            # A statistic is a pass of its own; without one, the rims are the only thing that is read twice.
            volumes = volumes.with_rims(job, WORTH_RIMS if volumes.needs else WORTH_RIMS + 1)
        return replace(volumes, found=_statistics(volumes, job)) if volumes.needs else volumes

    def read_group(self, group: int, box: Box) -> dict[int, Array]:
        """Read a box of the volumes of a group, by their numbers."""
        first = group * self.together
        time, channel = divmod(first, len(self.channels))
        read = replace(self.source, channel=self.channels[channel]).read_channels(time, box, self.together)
        return {first + n: read[n] for n in range(self.together)}

    def compute_group(self, group: int, block: int) -> dict[int, Array]:
        """Compute a block of the volumes of a group; errors as of :meth:`compute`."""
        if self.together == 1:
            return {group: self.compute(group * self.grid.n_blocks + block)}
        return self.read_group(group, self.grid.block_box(block))

    def compute(self, number: int) -> Array:
        """Read a block with its halo, and do what is to be done.

        Raises
        ------
        InputError
            If the kernel gives something else than it was declared to.
        """
        voxels, inner = self.with_halo(number)
        volume, block = self.place(number)
        known = dict(self.found[volume]) if self.found else {}
        box = self.grid.block_box(block)
        if self.places:
            outer = zip(box, inner, self.source.origin, strict=True)
            known["corner"] = tuple(part.start - halo.start + first for part, halo, first in outer)
        words, planes = ",".join(f"{part.start}:{part.stop}" for part in box), self.planes and not self.places
        given = {**self.values, **known}
        if self.crops:
            return apply_kernel(self.kernel, voxels, given, planes, self.dtype, words, inner=inner)
        return apply_kernel(self.kernel, voxels, given, planes, self.dtype, words)[inner]


def apply_kernel(
    kernel: Kernel,
    voxels: Any,
    values: Mapping[str, Any],
    planes: bool,
    dtype: str,
    box: str,
    *,
    shape: tuple[int, ...] | None = None,
    inner: Box | None = None,
) -> Array:
    """Call a kernel, on each plane alone where that is asked for, and hold it to what was declared.

    Parameters
    ----------
    kernel : callable
        ``kernel(voxels, **values)``.
    voxels : ndarray, or a tuple of them
        2-D or 3-D; several channels in one array, and several images in a tuple.
    values : mapping
        Its arguments.
    planes : bool
        Whether each plane is done alone.
    dtype : str
        That it has to return.
    box : str
        What the block is called in an error.
    shape : tuple of int, optional
        Of what it has to return, where it is not that of the voxels.
    inner : tuple of slice, optional
        The part of the voxels that it has to return, where it is told that.

    Returns
    -------
    ndarray
        Of that shape, and of ``dtype``.

    Raises
    ------
    InputError
        If the kernel fails, or gives another shape or type.
    """
    parts = list(voxels) if planes and voxels.ndim == 3 else [voxels]
    made = []
    for part in parts:
        told = {} if inner is None else {"inner": inner[-part.ndim :]}
        try:
            found = np.asarray(kernel(part, **values, **told))
        except (ChunkwiseError, MemoryError, OSError):
            raise
        except Exception as error:  # whoever wrote the kernel
            said = " ".join(str(error).split())
            raise InputError(f"The operation failed in the block {box}: {type(error).__name__}: {said}") from error
        wanted = part.shape if shape is None else shape
        wanted = tuple(one.stop - one.start for one in told["inner"]) if told else wanted
        if found.shape != wanted or found.dtype != np.dtype(dtype):
            raise InputError(
                f"The operation was declared to give {dtype} voxels of the shape {wanted} in the block {box}, and "
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
    volumes: LocalVolumes, output: OutputImage, job: Job, name: str = "write", of: str = ""
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
    of : str
        Put behind the names of the passes that write the levels, where there is more than one image.

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
    volumes = volumes.prepared(job)
    work, grid = _WritePass(volumes, output, job.run), volumes.grid
    count = volumes.n_groups * grid.n_units
    # The table of blocks knows of numbers that go through every volume.
    known = grid if volumes.together == 1 else None
    map_pass(job, volumes.name_of(name), _write_unit, work, count, voxels=volumes.voxels, grid=known, units=True)
    write_pyramid(output, job, of)
    return volumes.found


def _statistics(volumes: LocalVolumes, job: Job) -> tuple[Mapping[str, Any], ...]:
    """What the kernel needs to know of each whole volume, by the names of its arguments."""
    found: dict[str | Kernel, list[Any]] = {}
    names = [name for name in volumes.needs.values() if isinstance(name, str)]
    groups, size = volumes.blocks_by_volume(), volumes.voxels
    for measure in volumes.needs.values():
        if callable(measure):
            work = _LargestPass(volumes, measure)
            name = f"statistics-{len(found)}"
            most = reduce_pass(job, name, _largest, np.maximum, work, groups, _items, voxels=size, grid=volumes.grid)
            found[measure] = [most[volume] for volume in range(volumes.n_volumes)]
            if not np.isfinite(found[measure]).all():
                raise InputError(
                    "The image has voxels so large that no float holds what is calculated of them; make them smaller "
                    "first with 'chunkwise intensity --method rescale'."
                )
    found |= {name: find_thresholds(name, volumes, job) for name in names if name in METHODS}
    shares = {name: volumes.values[name.split()[1]] for name in names if name.startswith("percentile ")}
    if shares:
        found |= dict(zip(shares, find_percentiles(tuple(shares.values()), volumes, job), strict=True))
    if "objects" in names:
        found["objects"] = find_objects_of(volumes, job)
    if "shares" in names:
        found["shares"] = find_shares(volumes.values["bins"], volumes, job)
    if "classes" in names:
        found["classes"] = find_classes(volumes.values["classes"], volumes, job)
    if "tiles" in names:
        found["tiles"] = find_tiles(volumes, job)
    if set(names) - found.keys():
        extents = reduce_pass(job, "extents", _extent, widen, volumes, groups, _items, voxels=size, grid=volumes.grid)
        for place, name in enumerate(("minimum", "maximum")):
            found[name] = [extents[volume][place] for volume in range(volumes.n_volumes)]
    return tuple(
        {argument: found[name][volume] for argument, name in volumes.needs.items()}
        for volume in range(volumes.n_volumes)
    )


def _extent(volumes: LocalVolumes, number: int) -> tuple[Any, Any]:
    voxels = volumes.read(number)
    return voxels.min(), voxels.max()


def _items(_: int, values: Iterable[Any]) -> list[Any]:
    return [value.item() for value in values]


@dataclass(frozen=True)
class _LargestPass:
    volumes: LocalVolumes
    measure: Kernel


def _largest(work: _LargestPass, number: int) -> Array:
    """The largest of what is measured in a block, whose halo is looked at and does not count."""
    voxels, inner = work.volumes.with_halo(number)
    told = {"inner": inner} if work.volumes.crops else {}
    found: Array = work.measure(voxels, **work.volumes.values, **told)
    found = found if told else found[(slice(None), *inner)]
    return np.asarray(found.reshape(len(found), -1).max(axis=1))


def _write_unit(work: _WritePass, number: int) -> BlockResult:
    volumes, grid = work.volumes, work.volumes.grid
    group, unit = divmod(number, grid.n_units)
    box, blocks = grid.unit_box(unit), tuple(grid.blocks_of_unit(unit))
    if len(blocks) == 1:  # as it is, without a copy
        return write_unit(work.run, work.output, box, volumes.compute_group(group, blocks[0]))
    size = tuple(part.stop - part.start for part in box)
    first = group * volumes.together
    data = {volume: np.empty(size, work.output.dtype) for volume in range(first, first + volumes.together)}
    for block in blocks:
        for volume, computed in volumes.compute_group(group, block).items():
            data[volume][inside(grid.block_box(block), box)] = computed
    return write_unit(work.run, work.output, box, data)
