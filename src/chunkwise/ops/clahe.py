"""Contrast-limited adaptive histogram equalisation (CLAHE), equal to scikit-image's, of a block that is told its place.

A volume is parted into tiles of one size, counted from its first voxel. The histogram of each tile says what its
levels become, and a voxel becomes what lies between the tiles around it. The tiles at the far end go on mirrored, so
there some voxels count several times. What a volume's tiles say is found first (:mod:`chunkwise.ops.clahe_passes`), or
at once of a volume in memory. Everything has three axes here; where planes are treated alone, tiles are one plane thick
and nothing is mixed along z. The loops are in ``src/kernels/tiles.cpp``.

Reference: ``skimage.exposure.equalize_adapthist(volume, kernel_size, clip_limit, nbins)``. Algorithm: K. Zuiderveld,
"Contrast limited adaptive histogram equalization", Graphics Gems IV (1994) 474-485.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import prod
from typing import Any, Final

import numpy as np

from chunkwise import _kernels
from chunkwise.errors import VoxelsError

__all__ = ["Tiles", "Tiling", "check_extents", "extents_of", "maps_of", "stretched", "tiles_of_volume", "tiling_of"]

Array = np.ndarray[Any, Any]
Span = tuple[int, int]

#: Levels that an equalised voxel may have.
LEVELS: Final = 2**14


@dataclass(frozen=True)
class Tiling:
    """Where the tiles of a volume lie, and what is done with them."""

    shape: tuple[int, ...]
    size: tuple[int, ...]
    """Of a tile."""
    alone: bool
    """Whether planes have nothing to do with each other."""
    clip_limit: float
    bins: int

    @property
    def counts(self) -> tuple[int, ...]:
        """Tiles along each axis."""
        return tuple(-(-n // k) for n, k in zip(self.shape, self.size, strict=True))

    @property
    def groups(self) -> int:
        """Parts of the volume that are spread over all levels each on its own."""
        return self.shape[0] if self.alone else 1

    def counted(self, axis: int, span: Span) -> Array:
        """Rows of (place in the span, tile, times it counts there) of the voxels of a span, tile after tile."""
        n, k = self.shape[axis], self.size[axis]
        last = (n - 1) // k * k
        own = np.arange(span[0], min(span[1], last))
        # The last tile as it goes on: a b c d c b a b ...
        place = np.arange(last, last + k) % max(1, 2 * (n - 1))
        times = np.bincount(np.minimum(place, 2 * (n - 1) - place), minlength=n)
        of_last = np.flatnonzero(times[span[0] : span[1]]) + span[0]
        tiles = np.concatenate((own // k, np.full(len(of_last), last // k)))
        rows = np.concatenate((own, of_last)) - span[0], tiles, np.concatenate((np.ones_like(own), times[of_last]))
        return np.ascontiguousarray(rows, np.int64)

    def touched(self, axis: int, span: Span) -> Span:
        """The tiles in which voxels of a span count."""
        tiles = self.counted(axis, span)[1]
        return int(tiles[0]), int(tiles[-1]) + 1

    def around(self, axis: int, span: Span) -> tuple[Array, Array]:
        """The two tiles that each voxel of a span lies between, and how near it is to the second."""
        places, k = np.arange(*span), self.size[axis]
        if axis == 0 and self.alone:
            return np.stack((places, places)), np.zeros(len(places))
        places += k // 2
        second = places // k
        return np.clip((second - 1, second), 0, self.counts[axis] - 1), places % k / k

    def histograms(self, bins: Array, box: tuple[Span, ...]) -> tuple[Array, tuple[Span, ...]]:
        """Count the voxels of a block in each tile, by bins; gives also which tiles these are."""
        tiles = tuple(self.touched(axis, span) for axis, span in enumerate(box))
        rows = [self.counted(axis, span) for axis, span in enumerate(box)]
        for one, (first, _) in zip(rows, tiles, strict=True):
            one[1] -= first
        counts = np.zeros((*(b - a for a, b in tiles), self.bins), np.int64)
        z, y, x = rows
        _kernels.count_tiles(bins, z, y, x, counts)
        return counts, tiles


@dataclass(frozen=True)
class Tiles:
    """What the tiles of a volume say."""

    tiling: Tiling
    kept: Any
    """The maps of all tiles, or ``kept.read(tiles)`` that gives those of some."""
    found: tuple[Array, Array]
    """The least and the largest voxel of each group."""
    ends: tuple[Array, Array] = (np.zeros(1), np.zeros(1))
    """The same of what voxels become."""
    origin: tuple[int, ...] = (0, 0, 0)
    """The first voxel of the volume, where places are counted from that of the image."""

    def equalized(self, image: Array, corner: tuple[int, ...]) -> tuple[Array, range]:
        """Give the levels that a block becomes, with three axes, and the groups of its planes.

        Parameters
        ----------
        image : ndarray
            2-D or 3-D.
        corner : tuple of int
            Where its first voxel lies.
        """
        image = image.reshape((-1, *image.shape[-2:]))
        start = [c - o for c, o in zip((0, 0, *corner)[-3:], (0, 0, *self.origin)[-3:], strict=True)]
        box = tuple((a, a + n) for a, n in zip(start, image.shape, strict=True))
        around = [self.tiling.around(axis, span) for axis, span in enumerate(box)]
        ranges = tuple((int(tiles.min()), int(tiles.max()) + 1) for tiles, _ in around)
        maps = self._maps(ranges)
        z, y, x = (tiles - first for (tiles, _), (first, _) in zip(around, ranges, strict=True))
        near_z, near_y, near_x = (near for _, near in around)
        out = np.empty(image.shape, np.uint16)
        _kernels.between_tiles(self.bins(image, box[0]), maps, z, near_z, y, near_y, x, near_x, out)
        return out, self._groups(box[0])

    def bins(self, image: Array, planes: Span) -> Array:
        """The bins that voxels are counted in."""
        lows, highs = self.found
        made = np.empty(image.shape, np.uint16)
        for part, group in zip(_parts(image, made, self.tiling), self._groups(planes), strict=True):
            low, high = lows[group], highs[group]
            ends = tuple(int(_sixteen(np.array([one]), high)[0]) for one in (low, high))
            table = _bins_of_levels(*ends, self.tiling.bins)
            if image.dtype.kind in "iu" and image.dtype.itemsize <= 2:  # a table of all voxels that there may be
                unsigned = np.dtype(f"u{image.dtype.itemsize}")
                every = np.arange(np.iinfo(unsigned).max + 1).astype(unsigned)
                np.take(table[_sixteen(every.view(image.dtype), high)], part[0].view(unsigned), out=part[1])
            else:
                np.take(table, _sixteen(part[0], high), out=part[1])
        return made

    def _groups(self, planes: Span) -> range:
        return range(*planes) if self.tiling.alone else range(1)

    def _maps(self, tiles: tuple[Span, ...]) -> Array:
        if not isinstance(self.kept, np.ndarray):
            found: Array = self.kept.read(tiles)
            return found
        return np.ascontiguousarray(self.kept[tuple(slice(*span) for span in tiles)])

    def spread(self, image: Array, corner: tuple[int, ...], dtype: str) -> Array:
        """Give a block as it becomes: from 0 to 1, or of an integer type to its largest value."""
        levels, groups = self.equalized(image, corner)
        made = np.empty(levels.shape, dtype)
        floats = np.dtype(np.float32 if image.dtype == np.float32 else np.float64)
        for (one, to), group in zip(_parts(levels, made, self.tiling), groups, strict=True):
            low, high = (float(ends[group]) for ends in self.ends)
            table = np.clip(np.arange(LEVELS, dtype=floats), low, high)
            table = np.clip(table, 0, 1) if low == high else (table - low) / (high - low)
            if not dtype.startswith("float"):
                table = np.rint(table.astype(np.float64) * float(np.iinfo(dtype).max))
            np.take(table.astype(dtype), one, out=to)
        return made.reshape(image.shape)


def tiling_of(
    shape: tuple[int, ...], kernel_size: int | tuple[int, ...] | None, clip_limit: float, bins: int, planes: bool
) -> Tiling:
    """Say where the tiles of a volume lie; without a size they are an eighth of the volume along each axis."""
    sizes = kernel_size if isinstance(kernel_size, tuple) else (kernel_size,) * 3
    wide, alone = (1, *shape)[-3:], planes or len(shape) == 2
    found = [max(n // 8, 1) if k is None else int(k) for n, k in zip(wide[-len(sizes) :], sizes, strict=True)]
    return Tiling(wide, (1 if alone else found[0], *found[-2:]), alone, clip_limit, bins)


def extents_of(image: Array, tiling: Tiling, planes: Span) -> tuple[Array, Array]:
    """The least and the largest voxel of each group in a block; of other groups what any voxel replaces."""
    image = image.reshape((-1, *image.shape[-2:]))
    info: Any = np.finfo(image.dtype) if image.dtype.kind == "f" else np.iinfo(image.dtype)
    lows = np.full(tiling.groups, np.inf if image.dtype.kind == "f" else info.max, image.dtype)
    highs = np.full(tiling.groups, -np.inf if image.dtype.kind == "f" else info.min, image.dtype)
    here, axes = (slice(*planes), (1, 2)) if tiling.alone else (slice(0, 1), (0, 1, 2))
    lows[here], highs[here] = image.min(axes), image.max(axes)
    return lows, highs


def check_extents(lows: Array, highs: Array) -> None:
    """Refuse what scikit-image does: floats have to lie between -1 and 1."""
    if lows.dtype.kind != "f" or (np.all(lows >= -1) and np.all(highs <= 1)):
        return
    if np.isnan(lows).any():
        raise VoxelsError("The image has voxels that are not numbers (NaN), which cannot be equalised.")
    raise VoxelsError(
        f"Floats have to lie between -1 and 1 to be equalised by tiles, and these go from {lows.min():g} to "
        f"{highs.max():g}; bring them to 0 to 1 with 'chunkwise intensity --method rescale' first."
    )


def maps_of(counts: Array, tiling: Tiling) -> Array:
    """What the bins of tiles become, of their counts, which are changed."""
    voxels = prod(tiling.size)
    limit = max(1, int(tiling.clip_limit * voxels)) if tiling.clip_limit > 0 else voxels
    maps = np.empty(counts.shape, np.uint16)
    flat = (-1, tiling.bins)
    _kernels.map_tiles(counts.reshape(flat), limit, (LEVELS - 1) / voxels, float(LEVELS - 1), maps.reshape(flat))
    return maps


def tiles_of_volume(volume: Array, tiling: Tiling) -> Tiles:
    """What the tiles of a volume in memory say."""
    box = tuple((0, n) for n in tiling.shape)
    found = extents_of(volume, tiling, box[0])
    check_extents(*found)
    known = Tiles(tiling, None, found)
    counts, _ = tiling.histograms(known.bins(volume.reshape(tiling.shape), box[0]), box)
    known = replace(known, kept=maps_of(counts, tiling))
    levels, _ = known.equalized(volume, (0, 0, 0))
    return replace(known, ends=extents_of(levels, tiling, box[0]))


@dataclass(frozen=True)
class _Stretched:
    """The maps of a smaller copy of a volume."""

    maps: Array
    counts: tuple[int, ...]

    def read(self, tiles: tuple[Span, ...]) -> Array:
        """Those that stand for some of the volume's."""
        sizes = zip(tiles, self.maps.shape, self.counts, strict=False)
        return self.maps[np.ix_(*(np.arange(*span) * has // asked for span, has, asked in sizes))]


def stretched(tiles: Tiles, tiling: Tiling, origin: tuple[int, ...]) -> Tiles:
    """Take what the tiles of a smaller copy say for those of the volume itself."""
    lows, highs = tiles.found
    groups = np.arange(tiling.groups) * len(lows) // tiling.groups
    ends = (tiles.ends[0][groups], tiles.ends[1][groups])
    return Tiles(tiling, _Stretched(tiles.kept, tiling.counts), (lows[groups], highs[groups]), ends, origin)


def _parts(image: Array, made: Array, tiling: Tiling) -> list[tuple[Array, Array]]:
    """What is done with one table each."""
    return list(zip(image, made, strict=True)) if tiling.alone else [(image, made)]


def _sixteen(voxels: Array, highest: Any) -> Array:
    """Voxels as 16 bits, as ``skimage.util.img_as_uint`` makes them of a volume whose largest voxel is given."""
    dtype = voxels.dtype
    if dtype.kind == "f":
        of_floats: Array = np.clip(np.rint(voxels * dtype.type(65535)), 0, 65535).astype(np.uint16)
        return of_floats
    bits = 8 * dtype.itemsize - (dtype.kind == "i")
    voxels = np.maximum(voxels, 0) if dtype.kind == "i" else voxels
    if bits > 16:  # small numbers stay as they are
        return (voxels if int(highest) < 2**16 else voxels >> dtype.type(bits - 16)).astype(np.uint16)
    wider = -(-16 // bits) * bits
    made: Array = voxels.astype(np.int64) * ((2**wider - 1) // (2**bits - 1)) >> (wider - 16)
    return made.astype(np.uint16)


@lru_cache(maxsize=4)
def _bins_of_levels(low: int, high: int, bins: int) -> Array:
    """Of every 16-bit voxel, the bin that it is counted in, where a volume goes from ``low`` to ``high``."""
    values, top = np.arange(2**16, dtype=np.float64), float(LEVELS - 1)
    spread = np.clip(values, low, high)
    spread = np.clip(spread, 0, top) if low == high else (spread - low) / (high - low) * top
    levels: Array = np.round(spread).astype(np.uint16)
    return levels // np.uint16(1 + LEVELS // bins)
