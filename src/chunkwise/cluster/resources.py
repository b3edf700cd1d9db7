"""How many workers may run, and how much memory each may take."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

from chunkwise.blocks.grid import Grid
from chunkwise.errors import InputError

__all__ = ["Resources", "find_resources", "fit_grid", "parse_bytes"]

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

#: What a worker may take unless told otherwise.
DEFAULT_MEMORY = 1 * 2**30

#: Work of some seconds; starting Dask and a worker takes that long.
VOXELS_WORTH_A_WORKER = 2**28

#: Blocks are not made smaller than this to fit; halos would cost more than they hold.
SMALLEST_BLOCK = 32


@dataclass(frozen=True)
class Resources:
    """Workers, and bytes of memory for each."""

    workers: int
    memory_per_worker: int


def find_resources(workers: int | None = None, memory: int | None = None, voxels: int | None = None) -> Resources:
    """Decide the number of workers and the memory of each.

    Parameters
    ----------
    workers : int, optional
        As asked for; else ``GALAXY_SLOTS``, ``SLURM_CPUS_PER_TASK``, or the cores this process may use.
    memory : int, optional
        Bytes for each worker, as asked for; else ``GALAXY_MEMORY_MB`` shared among them, else 1 GiB.
    voxels : int, optional
        How much there is to do; unless a number of workers is asked for, a small image gets only one,
        because starting another takes longer than the work.

    Raises
    ------
    InputError
        If less than one worker, or a number that is none.
    """
    if workers is None:
        workers = _whole("GALAXY_SLOTS") or _whole("SLURM_CPUS_PER_TASK") or len(os.sched_getaffinity(0))
        if voxels is not None:
            workers = min(workers, 1 + voxels // VOXELS_WORTH_A_WORKER)
    if workers < 1:
        raise InputError(f"--workers {workers} is too few; give 1 or more.")
    if memory is None:
        shared = _whole("GALAXY_MEMORY_MB")
        # The driver takes its own part.
        memory = max(2**28, (shared * 2**20 - 2**28) // workers) if shared else DEFAULT_MEMORY
    return Resources(workers, memory)


def fit_grid(
    projected: Callable[[Grid], int], grid: Grid, shard: tuple[int, ...], resources: Resources, fixed: bool
) -> Grid:
    """Make blocks small enough for a worker's memory, or say that they cannot be.

    Parameters
    ----------
    projected : callable
        Bytes that a worker is projected to need at most, for a grid.
    grid : Grid
        With the blocks to begin with.
    shard : tuple of int
        Of the output, spatial axes only.
    resources : Resources
        With the memory of a worker.
    fixed : bool
        Whether the block was asked for, and is not to be changed.

    Raises
    ------
    InputError
        If it does not fit, with the numbers and the option to change.
    """
    needed = projected(grid)
    while needed > resources.memory_per_worker and not fixed and max(grid.block) > SMALLEST_BLOCK:
        longest = max(grid.block)
        grid = Grid.fit(grid.shape, shard, tuple(-(-b // 2) if b == longest else b for b in grid.block))
        needed = projected(grid)
    if needed > resources.memory_per_worker:
        change = "a smaller --block or a larger --memory" if fixed else "a larger --memory or a smaller --shard"
        raise InputError(
            f"A worker would need about {needed / 2**20:.0f} MiB for blocks of {'x'.join(map(str, grid.block))} "
            f"voxels, and may take {resources.memory_per_worker / 2**20:.0f} MiB; give {change}."
        )
    return grid


def parse_bytes(text: str) -> int:
    """Read ``2GiB``, ``500M`` or ``1000000`` as bytes.

    Raises
    ------
    InputError
        If it is none of these.
    """
    number = text.strip().lower().removesuffix("b")
    digits = number.rstrip("kmgti")
    try:
        value = int(float(digits) * UNITS[number[len(digits) :].strip()])
    except (KeyError, ValueError, OverflowError):
        raise InputError(f"'{text}' is not a size in bytes; write it as 1GiB, 500M or 1000000.") from None
    if value <= 0:
        raise InputError(f"'{text}' is not a size in bytes; it has to be more than 0.")
    return value


def _whole(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) > 0 else None
