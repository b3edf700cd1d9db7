"""Writing a table row by row: as text with tabs, or as Parquet; whole under its name or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ops.measure import Column
from chunkwise.storage.outputs import new_file, said_clearly

__all__ = ["TableWriter", "open_table"]

Array = np.ndarray[Any, Any]

#: Rows of a row group of Parquet.
GROUP = 2**16


class TableWriter(Protocol):
    """Takes the table in pieces."""

    def write(self, columns: dict[str, Array]) -> None:
        """Add rows: every column, all of one length."""

    def close(self) -> None:
        """Write what is still to be written."""


@contextmanager
def open_table(path: str, form: str, columns: Sequence[Column]) -> Iterator[TableWriter]:
    """Write a table under a temporary name, and give it its own when all of it is there.

    Parameters
    ----------
    path : str
        Its name; a file of that name is replaced.
    form : {"tsv", "parquet"}
        Text has a header; its floats are the shortest that read back as the same number.
    columns : sequence of Column
        What :meth:`TableWriter.write` will get.

    Raises
    ------
    ResumableError
        If the disk is full or fails; nothing is left behind.
    """
    with new_file(path) as temporary:
        with said_clearly(path):
            writer: TableWriter = _Text(temporary, columns) if form == "tsv" else _Parquet(temporary, columns)
        target = _PlainFailures(path, writer)
        try:
            yield target
        finally:
            target.close()


class _PlainFailures:
    """A writer whose failures are one sentence, told apart from failures of what the caller reads meanwhile."""

    def __init__(self, path: str, writer: TableWriter) -> None:
        self._path, self._writer = path, writer

    def write(self, columns: dict[str, Array]) -> None:
        with said_clearly(self._path):
            self._writer.write(columns)

    def close(self) -> None:
        with said_clearly(self._path):
            self._writer.close()


class _Text:
    def __init__(self, path: str, columns: Sequence[Column]) -> None:
        self._names = [column.name for column in columns]
        self._file = open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115
        self._file.write("\t".join(self._names) + "\n")

    def write(self, columns: dict[str, Array]) -> None:
        texts = [map(repr, columns[name].tolist()) for name in self._names]
        self._file.writelines("\t".join(row) + "\n" for row in zip(*texts, strict=True))

    def close(self) -> None:
        self._file.close()


class _Parquet:
    def __init__(self, path: str, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        types = {"i8": pa.int64(), "u8": pa.uint64(), "f8": pa.float64()}
        self._schema = pa.schema([(column.name, types[column.type]) for column in columns])
        self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._kept: list[Any] = []

    def write(self, columns: dict[str, Array]) -> None:
        import pyarrow as pa

        arrays = []
        for field in self._schema:
            try:
                arrays.append(pa.array(np.ascontiguousarray(columns[field.name]), field.type))
            except (OverflowError, pa.ArrowInvalid, pa.ArrowTypeError):
                raise InputError(
                    f"The column {field.name} has numbers that are too large for Parquet; write the table as tsv, or "
                    "leave out the column with --properties."
                ) from None
        self._kept.append(pa.Table.from_arrays(arrays, schema=self._schema))
        if sum(map(len, self._kept)) >= GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._kept:
            self._writer.write_table(pa.concat_tables(self._kept).combine_chunks(), row_group_size=4 * GROUP)
            self._kept = []

    def close(self) -> None:
        self._flush()
        self._writer.close()
