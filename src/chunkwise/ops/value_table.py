"""A table with a row for each object, as ``chunkwise measure`` writes it: some of its columns, by object."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from chunkwise.errors import InputError
from chunkwise.files import open_file

__all__ = ["LISTED", "ObjectRows", "numbers_of", "read_columns", "read_rows", "whole_numbers"]

Array = np.ndarray[Any, Any]

#: Bytes of a table, and of its first row.
LARGEST: Final = 2**32
HEADER: Final = 2**20
#: Columns that an error lists.
LISTED: Final = 40


@dataclass(frozen=True)
class ObjectRows:
    """Rows of objects."""

    name: str
    """Of the table, for errors."""
    labels: Array
    times: Array | None
    """None where the table has no column ``t``."""
    columns: dict[str, Array]

    def of_time(self, time: int, dtype: str) -> tuple[Array, Array]:
        """Find the rows of a time point whose objects a label image of a type may have.

        Returns
        -------
        ids : ndarray
            Of these rows, in order.
        rows : ndarray of int64
            Where they are.

        Raises
        ------
        InputError
            If an object has two rows.
        """
        info = np.iinfo(dtype)
        kept = (self.labels >= int(info.min)) & (self.labels <= int(info.max)) & (self.labels != 0)
        if self.times is not None:
            kept &= self.times == time
        rows = np.flatnonzero(kept)
        ids = self.labels[rows].astype(dtype)
        order = np.argsort(ids, kind="stable")
        ids, rows = ids[order], rows[order]
        twice = np.flatnonzero(ids[1:] == ids[:-1])
        if len(twice):
            more = "" if self.times is not None else "; a table of several time points needs a column t"
            raise InputError(f"{self.name} has two rows for the object {ids[twice[0]]} at the time point {time}{more}.")
        return ids, rows


def read_rows(
    path: str, allows: Callable[[str], bool], name: str, wanted: Sequence[str], whole: bool = False
) -> ObjectRows:
    """Read some columns of a table: text with tabs, commas or semicolons, or Parquet.

    Parameters
    ----------
    path : str
        The file.
    allows : callable
        Says of a path, links resolved, whether the policy allows it.
    name : str
        What errors call it.
    wanted : sequence of str
        Columns of numbers, beside ``label`` and, if it is there, ``t``.
    whole : bool
        Whether these have to be whole numbers, in every row, as those of objects are.

    Raises
    ------
    InputError
        If it is no table, or lacks a column, or a column holds something else than numbers.
    """
    ids = ("label", *(wanted if whole else ()))
    table = read_columns(path, allows, name, lambda names: _chosen(names, wanted, name), ids)
    times = whole_numbers(table["t"], "t", name) if "t" in table.column_names else None
    numbers = {column: (whole_numbers if whole else numbers_of)(table[column], column, name) for column in wanted}
    return ObjectRows(name, whole_numbers(table["label"], "label", name), times, numbers)


def read_columns(
    path: str,
    allows: Callable[[str], bool],
    name: str,
    choose: Callable[[Sequence[str]], list[str]],
    ids: Sequence[str],
    header: bool = True,
) -> Any:
    """Read those columns of a table that are chosen by their names.

    Parameters
    ----------
    path, allows, name
        As of :func:`read_rows`.
    choose : callable
        Is given the names of all columns, and gives those to read, or raises an error.
    ids : sequence of str
        Columns whose whole numbers may go beyond 63 bits; they may be missing.
    header : bool
        Whether the first line of a text holds the names; else columns are called by their numbers, from 1.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    InputError
        If it is no table.
    """
    import pyarrow as pa
    from pyarrow import csv as text
    from pyarrow import parquet

    try:
        with open_file(path, allows, largest=LARGEST, what="table") as file:
            head = file.readline(HEADER)
            file.seek(0)
            if head.startswith(b"PAR1"):
                known = parquet.ParquetFile(file)
                return known.read(choose(known.schema_arrow.names))
            between = max("\t,;", key=lambda one: head.count(one.encode()))
            names = next(csv.reader(io.StringIO(head.decode("utf-8-sig")), delimiter=between), [])
            if not header:
                names = [str(number) for number in range(1, len(names) + 1)]
            read = None if header else text.ReadOptions(column_names=names)
            # A number beyond 63 bits would become a float.
            types = dict.fromkeys(ids, pa.string())
            convert = text.ConvertOptions(include_columns=choose(names), column_types=types)
            return text.read_csv(file, read, text.ParseOptions(delimiter=between), convert)
    except (OSError, pa.ArrowException, ValueError, csv.Error) as error:
        said = " ".join(str(error).split())
        raise InputError(f"{name} cannot be read as a table (TSV, CSV or Parquet): {said}.") from None


def _chosen(names: Sequence[str], wanted: Sequence[str], name: str) -> list[str]:
    """The columns that are read."""
    for one in ("label", *wanted):
        if names.count(one) != 1:
            known = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
            what = "several columns" if one in names else "no column"
            raise InputError(f"{name} has {what} '{one}'; its columns are {known or 'none'}.")
    return list(dict.fromkeys([*(one for one in ("label", "t") if one in names), *wanted]))


def whole_numbers(column: Any, which: str, name: str) -> Array:
    """Whole numbers, of 64 bits."""
    import pyarrow as pa

    for kind in (pa.int64(), pa.uint64()):
        try:
            if column.null_count == 0:
                return np.asarray(column.cast(kind).to_numpy())
        except pa.ArrowException:
            continue
    try:  # text such as 3.0, which other programs write where a number is missing elsewhere
        numbers: Array = column.cast(pa.float64()).to_numpy()
        if column.null_count == 0 and (np.abs(numbers) < 2**53).all() and (np.rint(numbers) == numbers).all():
            return numbers.astype(np.int64)
    except pa.ArrowException:
        pass
    raise InputError(f"The column '{which}' of {name} has to hold a whole number in every row.")


def numbers_of(column: Any, which: str, name: str) -> Array:
    """Integers or floats; what is missing is not a number."""
    import pyarrow as pa

    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    if not any(kind(column.type) for kind in kinds) and which != "label":
        raise InputError(f"The column '{which}' of {name} holds {column.type}, and numbers are needed.")
    if which == "label":
        return whole_numbers(column, which, name)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    return np.asarray(column.to_numpy())
