"""The memory that a worker is projected to need: one sum, of which every operation gives its numbers."""

from __future__ import annotations

from math import prod

from chunkwise.blocks.grid import Grid

__all__ = ["BASE", "projected_memory"]

#: Resident bytes of a worker that has imported NumPy, SciPy and tensorstore (measured: 250 MB).
BASE = 260 * 10**6

#: What a further block that is worked on at once takes beside its arrays: room that two threads' arrays, which come and
#: go in no order, leave unused on the heap (measured: 1.15 GB for two blocks of 256^3 voxels at most, 0.62 for one).
OF_THREAD = 320 * 10**6


def projected_memory(
    grid: Grid,
    *,
    outer: float = 0,
    block: float = 0,
    unit: float = 0,
    reach: tuple[int, ...] = (),
    base: float = BASE,
    threads: int = 1,
) -> int:
    """Bytes that a worker needs at most, so that what does not fit is refused before it starts.

    Parameters
    ----------
    grid : Grid
        Of the blocks.
    outer, block, unit : float
        Bytes that are held for each voxel of a block with its halo, of a block, and of a unit that is written. What is
        read counts twice, as it is read and as it is put together, and what is written, too, with its encoded form.
    reach : tuple of int
        Thickness of the halo along each axis.
    base : float
        Bytes before a voxel is read.
    threads : int
        Blocks at once.
    """
    far = reach or (0,) * len(grid.shape)
    wide = prod(min(n, b + 2 * r) for n, b, r in zip(grid.shape, grid.block, far, strict=True))
    held = int(wide * outer + prod(grid.block) * block + prod(grid.unit) * unit)
    return int(base) + threads * held + (threads - 1) * OF_THREAD
