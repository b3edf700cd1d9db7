"""What the tiles of whole volumes say, found block by block.

======  ==================================================================================
range   the least and the largest voxel of every volume, or plane
tiles   every block counts its voxels in the tiles that they lie in
maps    a tile's counts are put together by the block in which it begins, and become a map
levels  the least and the largest level that a voxel becomes
======  ==================================================================================
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkwise.blocks.passes import BlockResult, map_pass, reduce_pass
from chunkwise.ops.clahe import Span, Tiles, Tiling, check_extents, extents_of, maps_of, tiling_of
from chunkwise.ops.find_threshold import widen
from chunkwise.ops.labelling import load_small
from chunkwise.ops.row_files import rows_bytes
from chunkwise.storage.writer import put_object

if TYPE_CHECKING:
    from chunkwise.blocks.grid import Grid
    from chunkwise.blocks.job import Job
    from chunkwise.ops.local import LocalVolumes

__all__ = ["find_tiles"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Kept:
    """The counts and the maps of a volume's tiles, in the files of its blocks."""

    folder: str
    grid: Grid
    tiling: Tiling
    first: int
    """The number of the volume's first block."""

    def span(self, axis: int, i: int) -> Span:
        """The voxels of the blocks at a position of an axis; there are three axes."""
        axis -= 3 - len(self.grid.shape)
        part = slice(0, 1) if axis < 0 else self.grid.span(axis, i)
        return part.start, part.stop

    def positions(self, axis: int) -> range:
        """Of the blocks along an axis."""
        axis -= 3 - len(self.grid.shape)
        return range(1 if axis < 0 else self.grid.blocks_shape[axis])

    def begun(self, axis: int, span: Span) -> Span:
        """The tiles that begin in a span."""
        size = self.tiling.size[axis]
        return -(-span[0] // size), -(-span[1] // size)

    def key(self, kind: str, place: tuple[int, ...]) -> str:
        """The file of a block."""
        number = self.first + self.grid.block_id(place[-len(self.grid.shape) :])
        return f"scratch/{kind}/{number // 1000}/{number}.npy"

    def gather(self, kind: str, tiles: tuple[Span, ...], dtype: Any) -> Array:
        """Add up what the files of blocks have of some tiles: counts, or the maps that one block has."""
        of_block = self.tiling.touched if kind == "tiles" else self.begun
        found = np.zeros((*(b - a for a, b in tiles), self.tiling.bins), dtype)
        for place in product(*(self._with(axis, span, of_block) for axis, span in enumerate(tiles))):
            theirs = [of_block(axis, self.span(axis, i)) for axis, i in enumerate(place)]
            both = [(max(a, c), min(b, d)) for (a, b), (c, d) in zip(tiles, theirs, strict=True)]
            (part,) = load_small(f"{self.folder}/{self.key(kind, place)}")
            into = tuple(slice(a - c, b - c) for (a, b), (c, _) in zip(both, tiles, strict=True))
            found[into] += part[tuple(slice(a - c, b - c) for (a, b), (c, _) in zip(both, theirs, strict=True))]
        return found

    def _with(self, axis: int, tiles: Span, of_block: Any) -> Iterator[int]:
        """The blocks that have something of tiles; a block that begins no tile has nothing."""
        for i in self.positions(axis):
            first, stop = of_block(axis, self.span(axis, i))
            if max(first, tiles[0]) < min(stop, tiles[1]):
                yield i

    def read(self, tiles: tuple[Span, ...]) -> Array:
        """The maps of some tiles."""
        return self.gather("maps", tiles, np.uint16)


@dataclass(frozen=True)
class _Pass:
    volumes: LocalVolumes
    tiles: tuple[Tiles, ...]
    """Of each volume, as far as they are known."""
    run: Any

    def look(self, number: int) -> tuple[Tiles, tuple[int, ...], Array]:
        """A block: what is known of its volume, its position among the blocks, and its voxels."""
        volume, block = self.volumes.place(number)
        return self.tiles[volume], (0, *self.volumes.grid.index(block))[-3:], self.volumes.read(number)


def find_tiles(volumes: LocalVolumes, job: Job) -> list[Tiles]:
    """Find what the tiles of every volume say.

    Parameters
    ----------
    volumes : LocalVolumes
        With the values ``kernel_size``, ``clip_limit`` and ``bins``.
    job : Job
        Where the work is done, and what is done already.

    Returns
    -------
    list of Tiles
        One a volume.

    Raises
    ------
    InputError
        If voxels cannot be read, or are floats beyond -1 and 1.
    ResumableError
        If the run stopped in the middle.
    """
    values, grid = volumes.values, volumes.grid
    tiling = tiling_of(grid.shape, values["kernel_size"], values["clip_limit"], values["bins"], volumes.planes)
    nothing = (np.zeros(0), np.zeros(0))
    tiles = tuple(
        Tiles(tiling, _Kept(job.run.folder, grid, tiling, blocks.start), nothing, nothing, volumes.source.origin)
        for blocks in volumes.blocks_by_volume()
    )
    ranges = _extents("range", _range, _Pass(volumes, tiles, job.run), job, np.dtype(volumes.source.dtype))
    tiles = tuple(replace(one, found=found) for one, found in zip(tiles, ranges, strict=True))
    work, count, size = _Pass(volumes, tiles, job.run), volumes.n_blocks, volumes.voxels
    map_pass(job, "tiles", _count, work, count, voxels=size, grid=grid)
    map_pass(job, "maps", _map, work, count, grid=grid)
    levels = _extents("levels", _levels, work, job, np.dtype(np.uint16))
    return [replace(one, ends=ends) for one, ends in zip(tiles, levels, strict=True)]


def _extents(name: str, function: Any, work: _Pass, job: Job, dtype: np.dtype[Any]) -> list[tuple[Array, Array]]:
    volumes = work.volumes

    def finish(_: int, extents: tuple[Array, Array]) -> list[list[Any]]:
        check_extents(*extents)
        return [one.tolist() for one in extents]

    groups, size = volumes.blocks_by_volume(), volumes.voxels
    found = reduce_pass(job, name, function, widen, work, groups, finish, voxels=size, grid=volumes.grid)
    return [(np.array(found[n][0], dtype), np.array(found[n][1], dtype)) for n in range(volumes.n_volumes)]


def _range(work: _Pass, number: int) -> tuple[Array, Array]:
    tiles, place, voxels = work.look(number)
    return extents_of(voxels, tiles.tiling, tiles.kept.span(0, place[0]))


def _count(work: _Pass, number: int) -> BlockResult:
    tiles, place, voxels = work.look(number)
    box = tuple(tiles.kept.span(axis, i) for axis, i in enumerate(place))
    solid = voxels.reshape((-1, *voxels.shape[-2:]))
    counts, _ = tiles.tiling.histograms(tiles.bins(solid, box[0]), box)
    return BlockResult((put_object(work.run.folder, tiles.kept.key("tiles", place), rows_bytes(counts)),))


def _map(work: _Pass, number: int) -> BlockResult:
    volume, block = work.volumes.place(number)
    kept: _Kept = work.tiles[volume].kept
    place = (0, *work.volumes.grid.index(block))[-3:]
    tiles = tuple(kept.begun(axis, kept.span(axis, i)) for axis, i in enumerate(place))
    if any(first >= stop for first, stop in tiles):
        return BlockResult()
    maps = maps_of(kept.gather("tiles", tiles, np.int64), kept.tiling)
    return BlockResult((put_object(work.run.folder, kept.key("maps", place), rows_bytes(maps)),))


def _levels(work: _Pass, number: int) -> tuple[Array, Array]:
    tiles, place, voxels = work.look(number)
    box = [tiles.kept.span(axis, i) for axis, i in enumerate(place)]
    corner = tuple(a + o for (a, _), o in zip(box[-voxels.ndim :], tiles.origin, strict=True))
    levels, _ = tiles.equalized(voxels, corner)
    return extents_of(levels, tiles.tiling, box[0])
