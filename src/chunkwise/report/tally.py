"""What a page says of very many objects, gathered while they are measured, in little memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from chunkwise.ops.columns import Column
from chunkwise.report.sizes import Sizes

__all__ = ["MOST_ROWS", "MOST_TIMES", "Boxes", "Tally", "TimePoint"]

Array = np.ndarray[Any, Any]

#: Rows of the table that a page shows, and time points that get a row.
MOST_ROWS = 20
MOST_TIMES = 100
#: Boxes of objects that are kept, to find where to look; of more, every second, fourth, ... one.
MOST_BOXES = 200_000
#: Channels whose intensities are told by time point.
MOST_CHANNELS = 4


@dataclass
class TimePoint:
    """The objects of a time point."""

    t: int
    sizes: Sizes = field(default_factory=Sizes)
    intensities: dict[str, float] = field(default_factory=dict)
    """Of each channel, the sum of the objects' mean intensities."""


class Boxes:
    """Boxes of objects, evenly thinned out where there are very many."""

    def __init__(self, ndim: int) -> None:
        self._parts: list[tuple[Array, Array]] = []
        self._step, self._seen, self._kept = 1, 0, 0
        self._ndim = ndim

    def add(self, first: Array, last: Array) -> None:
        """Take boxes: first and last coordinate, shape (n, axes) each."""
        chosen = slice(-self._seen % self._step, None, self._step)
        self._seen += len(first)
        self._parts.append((first[chosen].copy(), last[chosen].copy()))
        self._kept += len(self._parts[-1][0])
        while self._kept > MOST_BOXES:
            first, last = self.arrays()
            self._parts, self._step = [(first[::2], last[::2])], 2 * self._step
            self._kept = len(self._parts[0][0])

    def arrays(self) -> tuple[Array, Array]:
        """All that are kept."""
        empty = np.empty((0, self._ndim), np.int64)
        return (
            np.concatenate([empty, *(first for first, _ in self._parts)]),
            np.concatenate([empty, *(last for _, last in self._parts)]),
        )


class Tally:
    """Counts, sizes and intensities by time point, the first rows, and where the objects of one time point are.

    Parameters
    ----------
    columns : sequence of Column
        Of the table.
    channels : sequence of str
        Names of the channels whose intensity is measured.
    shape : tuple of int
        Of a volume.
    times : range
        The time points that are measured.
    """

    def __init__(self, columns: Sequence[Column], channels: Sequence[str], shape: Sequence[int], times: range) -> None:
        self.columns, self.volume = columns, prod(shape)
        names = {column.name for column in columns}
        self.channels = [name for name in channels if f"intensity_mean-{name}" in names][:MOST_CHANNELS]
        self.sizes = Sizes()
        """Of all time points."""
        self.times = [TimePoint(t) for t in times[:MOST_TIMES]]
        """The first of them, also those without an object."""
        self.left_out = max(0, len(times) - MOST_TIMES)
        """Time points that have no entry."""
        self.rows: list[tuple[Any, ...]] = []
        """The first of the table."""
        self.shown: int | None = None
        """Index of the first time point that has an object."""
        self.boxes = Boxes(len(shape))
        """Of its objects."""

    def add(self, volume: int, rows: Array, values: dict[str, Array]) -> None:
        """Take objects of a time point: rows as they were measured, and the table's columns of them."""
        if not len(rows):
            return
        if self.shown is None:
            self.shown = volume
        if self.shown == volume:
            self.boxes.add(rows["first"], rows["last"])
        self.sizes.add(rows["count"])
        if volume < len(self.times):
            here = self.times[volume]
            here.sizes.add(rows["count"])
            for channel in self.channels:
                total = float(np.sum(values[f"intensity_mean-{channel}"], dtype=np.float64))
                here.intensities[channel] = here.intensities.get(channel, 0.0) + total
        wanted = MOST_ROWS - len(self.rows)
        if wanted > 0:
            self.rows += zip(*(values[column.name][:wanted].tolist() for column in self.columns), strict=True)
