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

__all__ = ["ObjectRows", "read_rows"]

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
    import pyarrow as pa
    from pyarrow import csv as text
    from pyarrow import parquet

    try:
        with open_file(path, allows, largest=LARGEST, what="table") as file:
            head = file.readline(HEADER)
            file.seek(0)
            if head.startswith(b"PAR1"):
                known = parquet.ParquetFile(file)
                columns = _chosen(known.schema_arrow.names, wanted, name)
                table = known.read(columns)
            else:
                between = max("\t,;", key=lambda one: head.count(one.encode()))
                names = next(csv.reader(io.StringIO(head.decode("utf-8-sig")), delimiter=between), [])
                columns = _chosen(names, wanted, name)
                # A number beyond 63 bits would become a float.
                kinds = dict.fromkeys(("label", *(wanted if whole else ())), pa.string())
                convert = text.ConvertOptions(include_columns=columns, column_types=kinds)
                table = text.read_csv(file, None, text.ParseOptions(delimiter=between), convert)
    except (OSError, pa.ArrowException, ValueError, csv.Error) as error:
        said = " ".join(str(error).split())
        raise InputError(f"{name} cannot be read as a table (TSV, CSV or Parquet): {said}.") from None
    times = _whole(table["t"], "t", name) if "t" in columns else None
    numbers = {column: (_whole if whole else _numbers)(table[column], column, name) for column in wanted}
    return ObjectRows(name, _whole(table["label"], "label", name), times, numbers)


def _chosen(names: Sequence[str], wanted: Sequence[str], name: str) -> list[str]:
    """The columns that are read."""
    for one in ("label", *wanted):
        if names.count(one) != 1:
            known = ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
            what = "several columns" if one in names else "no column"
            raise InputError(f"{name} has {what} '{one}'; its columns are {known or 'none'}.")
    return list(dict.fromkeys([*(one for one in ("label", "t") if one in names), *wanted]))


def _whole(column: Any, which: str, name: str) -> Array:
    """Whole numbers, of 64 bits."""
    import pyarrow as pa

    for kind in (pa.int64(), pa.uint64()):
        try:
            if column.null_count == 0:
                return np.asarray(column.cast(kind).to_numpy())
        except pa.ArrowException:
            continue
    raise InputError(f"The column '{which}' of {name} has to hold a whole number in every row.")


def _numbers(column: Any, which: str, name: str) -> Array:
    """Integers or floats; what is missing is not a number."""
    import pyarrow as pa

    kinds = (pa.types.is_integer, pa.types.is_floating, pa.types.is_null)
    if not any(kind(column.type) for kind in kinds) and which != "label":
        raise InputError(f"The column '{which}' of {name} holds {column.type}, and numbers are needed.")
    if which == "label":
        return _whole(column, which, name)
    if pa.types.is_null(column.type):
        return np.full(len(column), np.nan)
    return np.asarray(column.to_numpy())
