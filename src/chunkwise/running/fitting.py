"""Blocks that fit into a worker's memory, and images that do not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import prod

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.cluster.resources import Resources, find_resources, fit_grid, size_words, with_threads
from chunkwise.errors import InputError
from chunkwise.ngff.layout import shard_of
from chunkwise.ngff.volumes import Selection
from chunkwise.running.request import Request

__all__ = ["check_block", "check_chunks", "fit_blocks"]


def check_block(block: tuple[int, ...] | None, axes: str) -> None:
    """Refuse a ``--block`` that has not one size for each spatial axis."""
    if block is not None and len(block) != len(axes):
        raise InputError(f"--block needs {len(axes)} sizes, one for each of the axes {axes}.")


def check_chunks(selection: Selection, resources: Resources) -> None:
    """Refuse an image whose chunks alone, which are decoded whole, would fill a worker.

    Raises
    ------
    InputError
        With the numbers and what to do.
    """
    level, size = selection.level, _chunk_bytes(selection)
    if 2 * size > resources.memory_per_worker:
        raise InputError(
            f"{selection.image.location.address} is stored in chunks of {'x'.join(map(str, level.chunks))} voxels, "
            f"each {size_words(size)}, and a worker may take {size_words(resources.memory_per_worker)}; give "
            f"--memory of {-(-2 * size // 2**20)}MiB or more, or write the image again in smaller chunks."
        )


def _chunk_bytes(selection: Selection) -> int:
    return prod(selection.level.chunks) * np.dtype(selection.level.dtype).itemsize


def fit_blocks(
    request: Request,
    selection: Selection,
    projected: Callable[..., int],
    *,
    shard: tuple[int, ...] | None = None,
    usual: tuple[int, ...] | None = None,
    work: int = 1,
    gpu: bool = False,
    threads: bool = False,
) -> tuple[Grid, Resources]:
    """Choose blocks of whole shards that fit into a worker's memory.

    Parameters
    ----------
    request : Request
        With the shard, the block, the workers and the memory that were asked for.
    selection : Selection
        What is read.
    projected : callable
        Bytes that a worker needs at most, for a grid; with ``threads`` also for a number of blocks at once.
    shard : tuple of int, optional
        Of the output, where it is not the usual one.
    usual : tuple of int, optional
        The block where none is asked for; else a shard.
    work : int
        How many times the work of a filter a voxel takes.
    gpu : bool
        Whether it is for a model.
    threads : bool
        Whether threads of one process may work on several blocks at once.

    Raises
    ------
    InputError
        If nothing fits, or a size has another number of axes.
    """
    source, spread = selection.source, request.spread
    shard = shard or shard_of(source.shape, request.to.shard)[1]
    check_block(spread.block, selection.image.spatial)
    voxels = prod(source.shape) * source.volumes * len(selection.channels) * work
    resources = find_resources(
        spread.workers, spread.memory, voxels, request.site, here=request.here, gpu=gpu, threads=threads
    )
    check_chunks(selection, resources)
    grid = Grid.fit(source.shape, shard, spread.block or usual or shard)
    grid = fit_grid(projected, grid, shard, resources, fixed=spread.block is not None)
    if not threads:
        return grid, replace(resources, needed=projected(grid))
    decoding = 2 * _chunk_bytes(selection)
    resources = with_threads(lambda count: max(projected(grid, count), count * decoding), resources)
    return grid, replace(resources, needed=projected(grid, resources.threads))
