"""How many workers may run, and how much memory each may take."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

from chunkwise.blocks.grid import Grid
from chunkwise.cluster.limits import memory_limit
from chunkwise.errors import InputError
from chunkwise.site.model import Cluster, Limits, Site

__all__ = ["Resources", "find_resources", "fit_grid", "parse_bytes", "size_words", "with_threads"]

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}

#: What a worker may take unless told otherwise.
DEFAULT_MEMORY = 1 * 2**30

#: What is kept for the process that hands out the work, and what a worker gets in any case.
OF_DRIVER = SMALLEST_MEMORY = 2**28

LOCAL = Cluster("local")

#: Work of some seconds; starting Dask and a worker takes that long.
VOXELS_WORTH_A_WORKER = 2**28

#: Up to here threads of one process take less processor time than workers. Of ``segment`` on 2^29 voxels (AMD EPYC, two
#: cores): one thread 10.6 CPU-s, two threads 11.6, two workers 13.4. What threads cost grows with the image, and what
#: the start of workers costs does not: by these figures the two meet between 2^30 and 2^31 voxels.
VOXELS_OF_ONE_PROCESS = 2**30

#: Labelling holds Python's lock, for about a quarter of the time of a pass: more threads would wait for each other.
MOST_THREADS = 4

#: Blocks are not made smaller than this to fit; halos would cost more than they hold.
SMALLEST_BLOCK = 32


@dataclass(frozen=True)
class Resources:
    """Workers, bytes of memory for each, and the cluster that they are of."""

    workers: int
    memory_per_worker: int
    cluster: Cluster = LOCAL
    slots: int = 1
    """Cores that one worker, this process, was given, where the work may be done by threads."""
    threads: int = 1
    """Blocks that it works on at once: see :func:`with_threads`."""
    needed: int = 0
    """Bytes that a worker is projected to need, of those that it may take."""


def find_resources(
    workers: int | None = None,
    memory: int | None = None,
    voxels: int | None = None,
    site: Site | None = None,
    here: bool = False,
    gpu: bool = False,
    threads: bool = False,
) -> Resources:
    """Decide where a run computes, the number of workers, and the memory of each.

    Parameters
    ----------
    workers : int, optional
        As asked for; else the plan's size decides, within the bounds of the site's cluster; on this machine within
        ``GALAXY_SLOTS``, ``SLURM_CPUS_PER_TASK``, or the cores this process may use.
    memory : int, optional
        Bytes for each worker, as asked for; else as the site says; on this machine ``GALAXY_MEMORY_MB`` shared
        among them, else 1 GiB. Control groups and the site's limits are kept, whoever asks for more.
    voxels : int, optional
        How much there is to do; unless a number of workers is asked for, a small image gets only one,
        because starting another takes longer than the work.
    site : Site, optional
        With clusters and limits.
    here : bool
        Whether it is work that only this process can do.
    gpu : bool
        Whether it is for a model: then the site's cluster for these, where it has one.
    threads : bool
        Whether threads of one process may do it; then they do, on this machine, where no number of workers is asked
        for and the image is not large.

    Raises
    ------
    InputError
        If less than one worker, or a number that is none.
    PolicyError
        If the job's environment names a cluster that the site does not have.
    """
    cluster, limits = (site.cluster(gpu), site.limits) if site else (LOCAL, Limits())
    cluster = LOCAL if here else cluster
    if workers is not None and workers < 1:
        raise InputError(f"--workers {workers} is too few; give 1 or more.")
    if cluster.kind == "local":
        found = _of_this_machine(workers, memory, voxels, cluster, limits, threads)
    else:
        found = _of_cluster(workers, memory, voxels, cluster, limits)
    for option, asked, given in (("--workers", workers, found.workers), ("--memory", memory, found.memory_per_worker)):
        if asked is not None and given < asked:
            print(f"note: {option} {asked} is more than one run may have; {given} is used.", file=sys.stderr)
    return found


def _of_cluster(
    workers: int | None, memory: int | None, voxels: int | None, cluster: Cluster, limits: Limits
) -> Resources:
    if workers is None:
        asked = voxels / cluster.voxels_per_worker if voxels else 0
        workers = max(cluster.workers_min, ceil(asked) if asked >= 1 else 0)
    workers = min(workers, cluster.workers_max, limits.workers or workers)
    if workers == 0:
        # So small that the site does not want it in a queue: this process does it.
        return _of_this_machine(1, memory, voxels, LOCAL, limits)
    most = min(cluster.memory_per_worker, limits.memory_per_worker or cluster.memory_per_worker)
    return Resources(workers, min(memory or most, most), cluster)


def _of_this_machine(
    workers: int | None, memory: int | None, voxels: int | None, cluster: Cluster, limits: Limits, threads: bool = False
) -> Resources:
    slots = 1
    most_workers = [] if cluster == LOCAL else [cluster.workers_max]
    if workers is None:
        workers = _whole("GALAXY_SLOTS") or _whole("SLURM_CPUS_PER_TASK") or len(os.sched_getaffinity(0))
        if threads and voxels is not None and voxels < VOXELS_OF_ONE_PROCESS:
            # Whoever bounds the workers of one run means its share of the machine.
            slots = min([workers, *most_workers, limits.workers or workers, MOST_THREADS])
            workers = 1
        elif voxels is not None:
            workers = min(workers, 1 + voxels // VOXELS_WORTH_A_WORKER)
    workers = min([workers, *most_workers, limits.workers or workers])
    shared = _whole("GALAXY_MEMORY_MB")
    kernel = memory_limit()
    # The driver takes its own part.
    most = [max(SMALLEST_MEMORY, (kernel - OF_DRIVER) // workers)] if kernel else []
    if limits.memory_per_worker:
        most.append(limits.memory_per_worker)
    if memory is None:
        memory = max(SMALLEST_MEMORY, (shared * 2**20 - OF_DRIVER) // workers) if shared else DEFAULT_MEMORY * slots
    return Resources(workers, min([memory, *most]), cluster, slots)


def with_threads(projected: Callable[[int], int], resources: Resources) -> Resources:
    """Have as many threads as there are cores for, and blocks that fit into memory together.

    Parameters
    ----------
    projected : callable
        Bytes that this process is projected to need at most, for a number of blocks that are worked on at once.
    resources : Resources
        With cores and memory of this process; one block fits.
    """
    threads = resources.slots
    while threads > 1 and projected(threads) > resources.memory_per_worker:
        threads -= 1
    return replace(resources, threads=threads)


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
            f"A worker would need about {size_words(needed)} for blocks of {'x'.join(map(str, grid.block))} "
            f"voxels, and may use {size_words(resources.memory_per_worker)}; give {change}."
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


def size_words(size: int) -> str:
    """Say a number of bytes, such as ``2.3 GiB``."""
    for scale, unit in ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB")):
        if size >= scale:
            return f"{size / scale:.1f} {unit}"
    return f"{size / 1024:.1f} KiB"


def _whole(variable: str) -> int | None:
    text = os.environ.get(variable, "")
    return int(text) if text.isdecimal() and int(text) > 0 else None
