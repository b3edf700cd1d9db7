"""From labels and a table of their objects to what the table says of every voxel."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, Self

import numpy as np

from chunkwise.blocks.job import Job
from chunkwise.errors import InputError, VoxelsError
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.operations.label._rules import parse_rules
from chunkwise.ops.local import LocalVolumes
from chunkwise.ops.object_table import ObjectTable
from chunkwise.ops.row_files import rows_bytes
from chunkwise.ops.value_table import ObjectRows, read_rows
from chunkwise.provenance.files import describe_file
from chunkwise.provenance.record import Recorder
from chunkwise.running.chains.local import Beside, run_with, selected
from chunkwise.running.labels import by_time, counted
from chunkwise.running.request import Request, Result
from chunkwise.running.stores import StoreRun
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.writer import put_object

__all__ = ["GivenTable", "TabledVolumes", "Told", "found_rows", "read_table", "report_missing", "run", "selected"]

Array = np.ndarray[Any, Any]

SIGNS: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
#: Objects without a row are named up to this many.
NAMED: Final = 20


def run(request: Request) -> Result:
    """Read the table, and do it; see :func:`chunkwise.running.run.run`."""
    values = request.values
    rules = parse_rules(values["rule"]) if "rule" in values else []
    joins = request.operation.name == "join"
    table = read_table(request, list(dict.fromkeys(one.column for one in rules)) or [values["column"]], whole=joins)
    opened = request.open("image")
    source = selected(request, opened).source
    table.check(source)
    if joins and np.dtype(source.dtype).kind in "iu":
        _check_numbers(table.rows.columns[values["column"]], values["column"], table.name, source.dtype)
    told: list[Told] = []

    def end(work: StoreRun) -> list[str]:
        return _report(work, table.name, told)

    by = partial(_kept, rules) if rules else partial(_joined if joins else _column, values["column"])
    of = partial(TabledVolumes, rows=table.rows, by=by, told=told)
    beside = Beside(table.digest, lambda work: table.record(work.recorder), end)
    return run_with(replace(request, inputs={**request.inputs, "image": opened}), of, beside)


@dataclass(frozen=True)
class GivenTable:
    """A table that was given for a run."""

    name: str
    """As it was typed."""
    place: Location
    rows: ObjectRows
    known: Mapping[str, Any]
    """Size, time and fingerprint of the file."""

    @property
    def digest(self) -> str:
        """A run that was stopped goes on only where it is the same."""
        return str(self.known.get("fingerprint", {}).get("value", ""))

    def check(self, labels: VolumeSource) -> None:
        """Refuse a table in which an object has several rows; now, and not when the run has begun."""
        if labels.volumes > 1 and self.rows.times is None:
            raise InputError(
                f"The labels have several time points, and {self.name} has no column 't' to tell them apart."
            )
        if np.dtype(labels.dtype).kind in "iu":  # others are refused in a moment
            for volume in range(labels.volumes):
                self.rows.of_time(labels.first_time + volume, labels.dtype)

    def record(self, recorder: Recorder) -> None:
        """Name it among what was read."""
        recorder.input("table", "table", self.place, **self.known)


def read_table(request: Request, columns: list[str], whole: bool = False) -> GivenTable:
    """Read some columns of the table; ``whole`` and errors as of :func:`chunkwise.ops.value_table.read_rows`."""
    given = request.inputs["table"]
    assert isinstance(given, str)
    place = resolve(given, request.site)
    if place.is_url:
        raise InputError(f"The table {given} has to be a file; fetch it first.")
    rows = read_rows(place.address, place.allows, given, columns, whole)
    return GivenTable(given, place, rows, describe_file(place.address))


@dataclass(frozen=True)
class Told:
    """What there is to say of the objects of a time point."""

    time: int
    missing: Array
    """Those without a row."""
    kept: int
    """How many are left, where they are labels."""


def _check_numbers(numbers: Array, column: str, table: str, dtype: str) -> None:
    """Refuse numbers that the labels cannot hold."""
    info = np.iinfo(dtype)
    for number in (int(numbers.min(initial=0)), int(numbers.max(initial=0))):
        if not info.min <= number <= info.max:
            raise InputError(
                f"The column '{column}' of {table} holds {number}, and labels of the type {dtype} go from {info.min} "
                f"to {info.max}; the joined objects keep that type."
            )


def _column(name: str, rows: ObjectRows, found: Array, _: Array, _values: Any) -> Array:
    """What is painted: the numbers of a column."""
    values = np.full(len(found), np.nan, np.float32)
    with np.errstate(over="ignore"):  # beyond float32 is infinite
        values[found >= 0] = rows.columns[name][found[found >= 0]]
    return values


def _joined(name: str, rows: ObjectRows, found: Array, ids: Array, values: Any) -> Array:
    """The numbers that a column has for the objects; some may be equal."""
    made = ids.copy() if values["missing"] == "keep" else np.zeros_like(ids)
    made[found >= 0] = rows.columns[name][found[found >= 0]].astype(ids.dtype)
    return made


def _kept(rules: Any, rows: ObjectRows, found: Array, ids: Array, values: Any) -> Array:
    """The numbers of the objects that meet all rules, and 0 for others."""
    there = found >= 0
    for rule in rules:
        # What is not a number meets no rule.
        column = rows.columns[rule.column]
        meets = SIGNS[rule.sign](column, rule.number) & (column == column)
        there[there] = meets[found[there]]
    if values["missing"] == "keep":
        there |= found < 0
    return np.where(there, np.cumsum(there) if values["renumber"] else ids, 0).astype(ids.dtype)


@dataclass(frozen=True)
class TabledVolumes(LocalVolumes):
    """Labels whose objects have a value each, which the kernel finds as ``objects["values"]``."""

    rows: ObjectRows | None = None
    by: Callable[..., Array] | None = None
    """``by(rows, found, ids, values)`` gives a value for each object; ``found`` is its row, or below 0."""
    told: list[Told] = field(default_factory=list)
    """Where it is noted what became of the objects, a time point after the other."""

    def prepared(self, job: Job) -> Self:
        """The same, with the values of all objects; the table stays with the driver."""
        rows, by = self.rows, self.by
        assert rows is not None
        assert by is not None
        known = replace(self, rows=None, by=None, told=[])
        known = super(TabledVolumes, known).prepared(job)
        for volume, statistics in enumerate(known.found):
            objects: ObjectTable = statistics["objects"]
            ids, time = np.asarray(objects["ids"]), self.source.first_time + volume
            found = found_rows(rows, time, ids)
            hit = found >= 0
            if self.values.get("missing") == "fail" and not hit.all():
                count = counted(int(np.count_nonzero(~hit)))
                raise VoxelsError(
                    f"{count} at the time point {time} without a row in the table, such as {ids[~hit][0]}: measure all "
                    "of them, or say that they are to be removed or kept (--missing)."
                )
            values = by(rows, found, ids, self.values)
            self.told.append(Told(time, ids[~hit], int(np.count_nonzero(np.unique(values)))))
            folder = f"scratch/objects/table-{volume}"
            put_object(job.run.folder, f"{folder}/values.npy", rows_bytes(values))
        return known


def found_rows(rows: ObjectRows, time: int, ids: Array) -> Array:
    """Find the row of every object at a time point; below 0 where there is none."""
    given, places = rows.of_time(time, str(ids.dtype))
    at = np.searchsorted(given, ids)
    hit = at < len(given)
    hit[hit] = given[at[hit]] == ids[hit]
    found = np.full(len(ids), -1)
    found[hit] = places[at[hit]]
    return found


def _report(work: StoreRun, table: str, told: list[Told]) -> list[str]:
    """Name objects without a row; gives what there is to say of the others."""
    paints = work.request.operation.name == "map"
    became = "not a number" if paints else {"keep": "kept"}.get(work.request.values["missing"], "removed")
    report_missing(work.recorder, told, f"a row in {table}, and so {became}")
    if paints:
        return []
    work.recorder.result("objects", [one.kept for one in told])
    return by_time([one.kept for one in told], "the result", told[0].time)


def report_missing(recorder: Recorder, told: Sequence[Told], without: str) -> None:
    """Name objects without a row, in the record and on standard error; ``without`` says without what, and so what."""
    count = sum(len(one.missing) for one in told)
    named = [{"time": one.time, "object": int(label)} for one in told for label in one.missing[:NAMED]][:NAMED]
    recorder.result("without_a_row", {"count": count, "first": named})
    if count:
        where = f"{named[0]['object']} at the time point {named[0]['time']}"
        more = ", and others that the run record names" if count > 1 else ""
        print(f"warning: {counted(count)} without {without}: {where}{more}.", file=sys.stderr)
