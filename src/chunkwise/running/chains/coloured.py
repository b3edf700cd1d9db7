"""Objects coloured by a column of a table: from the table to the colour of every object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.errors import InputError
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.value_table import ObjectRows
from chunkwise.provenance.record import Recorder
from chunkwise.report.colormaps import steps_of
from chunkwise.running.chains.tabled import GivenTable, TabledVolumes, Told, found_rows, read_table, report_missing
from chunkwise.running.request import Request

__all__ = ["COUNTING", "Coloured", "check_coloured"]

Array = np.ndarray[Any, Any]

#: Bytes that are held for a voxel of labels while the objects of a block are counted, in those of its type.
COUNTING: Final = 26


def check_coloured(values: Mapping[str, Any], table: bool) -> None:
    """Refuse what means nothing without a table, or beside one."""
    if table and values["column"] is None:
        raise InputError("--table needs --column, which says by which of its columns objects are coloured.")
    if table and values["color"] is not None:
        raise InputError("--color is one colour for all objects, and --column gives each its own; leave out one.")
    for name in ("column", "low", "high"):
        if not table and values[name] is not None:
            raise InputError(f"--{name} is of the table by which objects are coloured; give it with --table.")


@dataclass(frozen=True)
class Coloured:
    """The numbers by which objects are coloured."""

    table: GivenTable
    rows: ObjectRows
    """Those with a number."""
    column: str
    low: float
    high: float
    told: list[Told] = field(default_factory=list)

    @classmethod
    def of(cls, request: Request, labels: VolumeSource) -> Self:
        """Read the table, and find the range of its numbers.

        Raises
        ------
        InputError
            If it cannot be read, has no numbers of these time points, or the range that was asked for is none.
        """
        values, column = request.values, request.values["column"]
        table = read_table(request, [column])
        table.check(labels)
        there = ~np.isnan(table.rows.columns[column]) & (table.rows.labels > 0)
        times = None if table.rows.times is None else table.rows.times[there]
        rows = ObjectRows(table.name, table.rows.labels[there], times, {column: table.rows.columns[column][there]})
        meant = np.isfinite(rows.columns[column])
        if rows.times is not None:
            meant &= (rows.times >= labels.first_time) & (rows.times < labels.first_time + labels.volumes)
        numbers = rows.columns[column][meant]
        low, high = values["low"], values["high"]
        if not len(numbers) and (low is None or high is None):
            raise InputError(
                f"{table.name} has no number in the column '{column}' for any object at these time points; give --low "
                "and --high, or another --column."
            )
        low, high = float(numbers.min() if low is None else low), float(numbers.max() if high is None else high)
        if low > high or (low == high and None not in (values["low"], values["high"])):
            raise InputError(f"The colours would go from {low:g} to {high:g}; --low has to be below --high.")
        return cls(table, rows, column, low, high)

    @property
    def line(self) -> str:
        """What colours mean, for people."""
        return f"  {self.column}: the first colour is {self.low:g}, the last is {self.high:g}"

    def volumes(self, labels: VolumeSource, grid: Grid) -> TabledVolumes:
        """Say how the objects of whole volumes are found, and the step of each in the colour map."""
        return TabledVolumes(
            *(labels, grid, (labels.channel,), labels.dtype),
            needs={"objects": "objects"},
            rows=self.rows,
            by=self._steps,
            told=self.told,
        )

    def of_plane(self, objects: Array, time: int) -> dict[str, Array]:
        """The same of one plane, which is there."""
        ids = np.unique(objects[objects > 0])
        found = found_rows(self.rows, time, ids)
        self.told.append(Told(time, ids[found < 0], 0))
        return {"ids": ids, "values": self._steps(self.rows, found, ids, {})}

    def _steps(self, rows: ObjectRows, found: Array, _: Array, _values: Any) -> Array:
        numbers = np.full(len(found), np.nan)
        numbers[found >= 0] = rows.columns[self.column][found[found >= 0]]
        return steps_of(numbers, self.low, self.high)

    def report(self, recorder: Recorder) -> None:
        """Say in the record what colours mean; name objects without a number, on standard error as well."""
        recorder.result("range", [self.low, self.high])
        told = [replace(one, missing=one.missing[one.missing > 0]) for one in self.told]  # the rest is background
        report_missing(recorder, told, f"a number in {self.column} of {self.table.name}, and so grey")
