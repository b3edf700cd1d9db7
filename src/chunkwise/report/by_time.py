"""The table that ``chunkwise measure --summary`` writes: one row a time point, made while the objects are measured."""

from __future__ import annotations

from collections.abc import Callable
from math import nan, prod
from typing import Any

import numpy as np

from chunkwise.ops.columns import Column
from chunkwise.ops.measure import Measured
from chunkwise.report.sizes import Sizes

__all__ = ["Summary", "summary_columns"]

Array = np.ndarray[Any, Any]

_SIZES = ("num_pixels_mean", "num_pixels_median", "area_physical_mean", "area_physical_median")


def summary_columns(measured: Measured, parents: bool) -> list[Column]:
    """The columns: of the labels, of their parents, and of each channel."""
    types = {"t": "i8", "objects": "i8", "num_pixels_sum": "i8", "area_physical_sum": "f8", "share": "f8"}
    types |= dict.fromkeys(_SIZES, "f8") | {"num_pixels_min": "i8", "num_pixels_max": "i8"}
    types |= {"objects_with_parent": "i8"} if parents else {}
    values = measured.objects.values
    for channel in measured.names:
        types |= {f"intensity_sum-{channel}": values, f"intensity_mean-{channel}": "f8"}
    return [Column(name, name, kind) for name, kind in types.items()]


class Summary:
    """Sums over the objects of each time point.

    Parameters
    ----------
    measured : Measured
        What is measured.
    parents : bool
        Whether the parent of each object is found.
    write : callable
        Takes the rows, each a dict of :func:`summary_columns`.
    """

    def __init__(self, measured: Measured, parents: bool, write: Callable[[dict[str, Array]], None]) -> None:
        self._measured, self._parents, self._write = measured, parents, write
        self._volume = 0
        self.rounded = False
        """Whether a median is that of sizes that were rounded, because very many differ: see :class:`Sizes`."""
        self._begin()

    def _begin(self) -> None:
        self._sizes, self._with_parent = Sizes(), 0
        self._sums: list[Any] = [0] * len(self._measured.names)

    def add(self, volume: int, rows: Array, sums: list[Array], parent: Array | None) -> None:
        """Take objects of a time point: their rows, the sum of each one's intensities by channel, their parents."""
        self._until(volume)
        self._sizes.add(rows["count"])
        self._with_parent += 0 if parent is None else int((parent > 0).sum())
        self._sums = [total + sum(more.tolist()) for total, more in zip(self._sums, sums, strict=True)]

    def close(self) -> None:
        """Write what is left: time points without an object, too."""
        self._until(self._measured.labels.volumes)

    def _until(self, volume: int) -> None:
        while self._volume < volume:
            self._write_row()
            self._volume += 1
            self._begin()

    def _write_row(self) -> None:
        measured, sizes = self._measured, self._sizes
        self.rounded |= sizes.rounded
        voxel, count = prod(measured.scale), sizes.voxels
        mean, median = (sizes.mean, sizes.median) if sizes.total else (nan, nan)
        row: dict[str, Any] = {
            "t": measured.labels.first_time + self._volume,
            "objects": sizes.total,
            "num_pixels_sum": count,
            "area_physical_sum": count * voxel,
            "share": count / prod(measured.grid.shape),
            **dict(zip(_SIZES, (mean, median, mean * voxel, median * voxel), strict=True)),
            "num_pixels_min": sizes.smallest,
            "num_pixels_max": sizes.largest,
            "objects_with_parent": self._with_parent,
        }
        for channel, total in zip(measured.names, self._sums, strict=True):
            row |= {f"intensity_sum-{channel}": total, f"intensity_mean-{channel}": total / count if count else nan}
        columns = summary_columns(measured, self._parents)
        # A sum of integers may be wider than 64 bits.
        wide = {column.name: object if column.name.startswith("intensity_sum") else column.type for column in columns}
        self._write({name: np.array([row[name]], kind) for name, kind in wide.items()})
