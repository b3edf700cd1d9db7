"""Which resolutions, planes and times of a view fit into its size, and their tiles.

The plane in the middle of the first time point comes first, from coarse to fine, then other planes and times as far
as there is room. What is read is bounded as well, so that an image of any size takes seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import floor, sqrt
from typing import Any

import numpy as np

from chunkwise.report.pictures import contrast, to_gray
from chunkwise.report.view.scene import Layer, Sheet
from chunkwise.report.view.tiles import EDGE, gray_tile, label_tile, size_of, tiles_of

__all__ = ["Range", "View", "fill"]

Array = np.ndarray[Any, Any]

#: Bytes that are decoded for the first plane, and as many again for the others.
MOST_READ = 2**30

#: Pixels of a plane that is held as a whole; larger ones are read tile by tile.
HELD = 2**23

#: Planes and times together that a view has at most.
MOST_FRAMES = 64

#: How much larger than the first plane another one may be when the room is reckoned.
CAUTION = 1.25

#: Tiles of a larger plane that are read together, along each axis.
TOGETHER = 4

Frame = tuple[int, int]
"""Time point and plane."""


@dataclass(frozen=True)
class Range:
    """How the values of a channel became bytes, and which of them are black and white at first."""

    low: float
    """Value of byte 0."""
    high: float
    """Value of byte 255."""
    black: float
    white: float
    exact: bool
    """Whether every whole value has a byte of its own."""


@dataclass
class View:
    """What is in a page."""

    times: list[int]
    planes: list[int]
    first: Frame
    tiles: dict[tuple[int, int, Frame], list[list[Any]]] = field(default_factory=dict)
    """By layer, sheet and frame: of every channel, its tiles row by row."""
    ranges: dict[tuple[int, int], Range] = field(default_factory=dict)
    """By layer and channel."""
    size: int = 0
    """Bytes of the tiles."""

    def finest(self, layer: int, frame: Frame) -> int | None:
        """The finest sheet of a layer that a frame has."""
        found = [sheet for one, sheet, other in self.tiles if (one, other) == (layer, frame)]
        return max(found) if found else None


class _FullError(Exception):
    """The tiles do not fit."""


def fill(layers: Sequence[Layer], depth: int, times: int, room: int) -> View:
    """Make the tiles of a view.

    Parameters
    ----------
    layers : sequence of Layer
        Over one space.
    depth, times : int
        Planes and time points of the space.
    room : int
        Bytes that the tiles may take.
    """
    first = (0, depth // 2)
    view = View([0], [first[1]], first)
    work = _Filling(layers, view)
    several = depth * times > 1
    work.deepen(room // 2 if several else room)
    if several:
        work.widen(depth, times, room)
        work.deepen(room)
    return view


class _Filling:
    def __init__(self, layers: Sequence[Layer], view: View) -> None:
        self.layers, self.view = layers, view
        self.bases = [_base(layer) for layer in layers]
        self.held: dict[tuple[int, int], Array] = {}
        self.to_read = MOST_READ
        self.sizes: dict[tuple[int, int], int] = {}
        units = [(layer, sheet) for layer, one in enumerate(layers) for sheet in range(len(one.sheets))]
        self.units = sorted(units, key=lambda unit: layers[unit[0]].sheets[unit[1]].pixels)
        #: Of each layer, the sheet that comes next for the first frame.
        self.next = [0] * len(layers)

    def deepen(self, room: int) -> None:
        """Add finer and finer sheets of the first frame, as long as they fit."""
        stopped: set[int] = set()
        for layer, sheet in self.units:
            if sheet != self.next[layer] or layer in stopped:
                continue
            cost = self._cost(layer, sheet, [self.view.first[1]])
            # A sheet of four times the pixels rarely takes less than twice the bytes.
            least = 2 * self.sizes.get((layer, sheet - 1), 0) if sheet else 0
            if sheet and (cost > self.to_read or self.view.size + least > room):
                stopped.add(layer)
                continue
            limit = room - self.view.size if sheet else 2**62  # the coarsest is always there
            try:
                made, size = self._encode(layer, sheet, self.view.first, limit)
            except _FullError:
                stopped.add(layer)
                continue
            self.to_read -= cost
            self.view.tiles[layer, sheet, self.view.first] = made
            self.view.size += size
            self.sizes[layer, sheet] = size
            self.next[layer] += 1

    def widen(self, depth: int, times: int, room: int) -> None:
        """Add other planes and times, all with the same sheets."""
        self.held.clear()
        coarsest = sum(self.sizes[layer, 0] for layer in range(len(self.layers)))
        frames = min(MOST_FRAMES, 1 + int((room - self.view.size) / (CAUTION * max(1, coarsest))))
        to_read = MOST_READ
        while frames > 1:
            planes, moments = _spread(depth, times, frames, self.view.first[1])
            count = len(planes) * len(moments)
            chosen: list[tuple[int, int]] = []
            spent = read = 0.0
            for layer, sheet in self.units:
                if (layer, sheet) not in self.sizes:
                    continue
                spent += CAUTION * self.sizes[layer, sheet] * (count - 1)
                read += self._cost(layer, sheet, planes) * len(moments)
                if chosen and sheet and (spent > room - self.view.size or read > to_read):
                    break
                chosen.append((layer, sheet))
            if read > to_read and len(chosen) <= len(self.layers):
                frames //= 2
                continue
            while len(chosen) >= len(self.layers):
                try:
                    made, size = self._encode_many(chosen, moments, planes, room - self.view.size)
                except _FullError:
                    chosen.pop()
                    continue
                self.view.tiles |= made
                self.view.size += size
                self.view.times, self.view.planes = moments, planes
                return
            frames //= 2

    def _cost(self, layer: int, sheet: int, planes: Sequence[int]) -> int:
        """Bytes that a sheet takes to read; those that are made from a larger one cost nothing more."""
        base, one = self.bases[layer], self.layers[layer]
        if 0 < sheet <= base:
            return 0
        return one.sheets[base if sheet == 0 else sheet].cost(planes) * len(one.channels)

    def _encode(self, layer: int, sheet: int, frame: Frame, limit: int) -> tuple[list[list[Any]], int]:
        """The tiles of one sheet of a frame, of every channel."""
        one, base, made, size = self.layers[layer], self.bases[layer], [], 0
        for number, channel in enumerate(one.channels):
            if sheet > base and one.sheets[sheet].pixels > HELD:
                tiles, used = self._by_parts(layer, number, one.sheets[sheet], frame, limit - size)
            else:
                if sheet > base:
                    ((_, plane),) = one.sheets[sheet].planes(channel.index, frame[0], [frame[1]])
                else:
                    if (layer, number) not in self.held:
                        ((_, plane),) = one.sheets[base].planes(channel.index, frame[0], [frame[1]])
                        self.held[layer, number] = plane
                        self._settle(layer, number, plane)
                    plane = _halved(one, self.held[layer, number], base, sheet)
                tiles, used = self._tiles(layer, number, plane)
            made.append(tiles)
            size += used
            if size > limit:
                raise _FullError
        return made, size

    def _encode_many(
        self, units: Sequence[tuple[int, int]], times: Sequence[int], planes: Sequence[int], limit: int
    ) -> tuple[dict[tuple[int, int, Frame], list[list[Any]]], int]:
        """The tiles of some sheets of all frames but the first."""
        found: dict[tuple[int, int, Frame], list[list[Any]]] = {}
        size = 0
        for layer, one in enumerate(self.layers):
            base, mine = self.bases[layer], [sheet for other, sheet in units if other == layer]
            small = [sheet for sheet in mine if sheet <= base]
            for time in times:
                wanted = [z for z in planes if (time, z) != self.view.first]
                for number, channel in enumerate(one.channels):
                    for source, sheets in [(base, small), *((sheet, [sheet]) for sheet in mine if sheet > base)]:
                        if not sheets or not wanted:
                            continue
                        for z, plane in one.sheets[source].planes(channel.index, time, wanted):
                            for sheet in sheets:
                                halved = _halved(one, plane, source, sheet)
                                tiles, used = self._tiles(layer, number, halved)
                                found.setdefault((layer, sheet, (time, z)), []).append(tiles)
                                size += used
                            if size > limit:
                                raise _FullError
        return found, size

    def _tiles(self, layer: int, number: int, plane: Array) -> tuple[list[Any], int]:
        labels = self.layers[layer].kind == "labels"
        tiles = tiles_of(plane if labels else self._bytes(layer, number, plane), labels)
        return tiles, sum(map(size_of, tiles))

    def _settle(self, layer: int, number: int, plane: Array) -> None:
        """Choose which values become bytes, by the first plane of a channel."""
        if self.layers[layer].kind == "image":
            self.view.ranges[layer, number] = _range_of(plane)

    def _bytes(self, layer: int, number: int, plane: Array) -> Array:
        found = self.view.ranges[layer, number]
        return to_gray(plane, found.low, found.high)

    def _by_parts(self, layer: int, number: int, sheet: Sheet, frame: Frame, limit: int) -> tuple[list[Any], int]:
        """The tiles of a plane that is too large to be held."""
        one = self.layers[layer]
        labels, size = one.kind == "labels", 0
        margin = 1 if labels else 0
        height, width = sheet.shape
        across = -(-width // EDGE)
        tiles: list[Any] = [None] * (-(-height // EDGE) * across)
        for part_rows, part_columns, rows, columns in _parts(sheet, margin):
            block = sheet.read(one.channels[number].index, frame[0], frame[1], part_rows, part_columns)
            if not labels:
                block = self._bytes(layer, number, block)
            for row in rows:
                for column in columns:
                    inner = tuple(
                        slice(max(0, n * EDGE - margin) - part.start, min(end, (n + 1) * EDGE + margin) - part.start)
                        for n, part, end in ((row, part_rows, height), (column, part_columns, width))
                    )
                    tile = (label_tile if labels else gray_tile)(block[inner])
                    tiles[row * across + column] = tile
                    size += size_of(tile)
            if size > limit:
                raise _FullError
        return tiles, size


def _parts(sheet: Sheet, margin: int) -> Iterator[tuple[slice, slice, range, range]]:
    """Parts of a plane that are read together, in pixels, and the rows and columns of tiles in each."""
    steps = [max(TOGETHER, -(-chunk // 2**sheet.halvings // EDGE)) for chunk in sheet.chunk[1:]]
    counts = [-(-n // EDGE) for n in sheet.shape]
    for top in range(0, counts[0], steps[0]):
        rows = range(top, min(top + steps[0], counts[0]))
        for left in range(0, counts[1], steps[1]):
            columns = range(left, min(left + steps[1], counts[1]))
            parts = [
                slice(max(0, some.start * EDGE - margin), min(n, some.stop * EDGE + margin))
                for some, n in zip((rows, columns), sheet.shape, strict=True)
            ]
            yield parts[0], parts[1], rows, columns


def _base(layer: Layer) -> int:
    """The sheet that is read for the coarse ones: of the smallest level, the finest that can be held."""
    level = layer.sheets[0].source.array
    found = [n for n, one in enumerate(layer.sheets) if one.source.array == level and one.pixels <= HELD]
    return max(found)


def _halved(layer: Layer, plane: Array, source: int, sheet: int) -> Array:
    for number in range(source, sheet, -1):
        plane = layer.sheets[number].halve(plane)
    return plane


def _spread(depth: int, times: int, frames: int, middle: int) -> tuple[list[int], list[int]]:
    """Choose planes and time points, evenly, of which the product is no more than a number."""
    moments = min(times, max(1, round(sqrt(frames * times / depth))), frames)
    planes = min(depth, frames // moments)
    moments = min(times, frames // planes)
    chosen = _evenly(depth, planes)
    nearest = min(chosen, key=lambda z: abs(z - middle))
    chosen[chosen.index(nearest)] = middle
    return chosen, _evenly(times, moments)


def _evenly(size: int, count: int) -> list[int]:
    """Some of the numbers below ``size``, the first among them."""
    return list(range(size)) if count >= size else [floor(n * size / count) for n in range(count)]


def _range_of(plane: Array) -> Range:
    """Choose which values become bytes: all of small whole numbers, else somewhat more than what is shown at first."""
    black, white = contrast(plane)
    kind = plane.dtype
    if kind == np.uint8:
        return Range(0, 255, black, white, True)
    finite = plane[np.isfinite(plane)] if kind.kind == "f" else plane
    least, most = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    # What lies beyond is shown as the end; with a wider range, steps of grey would be seen.
    low, high = max(least, black - (white - black) / 4), min(most, 2 * white - black)
    if kind.kind in "iu":
        low, high = float(floor(low)), float(-floor(-high))
        if high - low <= 255:
            return Range(low, low + 255, black, white, True)
    if not high > low:
        low, high = black, white
    return Range(low, high, black, white, False)
