"""Writing a table row by row: as text with tabs, Parquet or GeoJSON; whole under its name or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from math import isfinite
from typing import Any, Final, Protocol

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ops.measure import Column
from chunkwise.storage.outputs import new_file, said_clearly

__all__ = ["MEDIA", "TableWriter", "check_places", "form_of", "open_table"]

Array = np.ndarray[Any, Any]

#: Media types by formats.
MEDIA: Final = {
    "tsv": "text/tab-separated-values",
    "parquet": "application/vnd.apache.parquet",
    "geojson": "application/geo+json",
}
#: Rows of a row group of Parquet.
GROUP = 2**16


def form_of(path: str, *, places: bool = False) -> str:
    """The format of a table that is named so; ``places`` says whether its rows have any, so that GeoJSON is one."""
    ending = path.lower().rpartition(".")[2]
    return ending if ending in MEDIA and (places or ending != "geojson") else "tsv"


def check_places(form: str, columns: Sequence[Column]) -> None:
    """Refuse GeoJSON of a table that does not say where things are."""
    if form == "geojson" and not _places([column.name for column in columns]):
        raise InputError("GeoJSON needs a place for every object: leave out --properties, or add 'centroid' to it.")


def _places(names: Sequence[str]) -> dict[str, str]:
    """Which columns say x, y and z, in voxels."""
    centres = [name for name in ("centroid-0", "centroid-1", "centroid-2") if name in names]
    if centres:
        return dict(zip("zyx"[-len(centres) :], centres, strict=True))
    return {axis: axis for axis in "zyx" if axis in names}


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
    form : {"tsv", "parquet", "geojson"}
        Text has a header; its floats are the shortest that read back as the same number. GeoJSON has a point for
        each row, as :func:`check_places` asks for, and the other columns as its measurements.
    columns : sequence of Column
        What :meth:`TableWriter.write` will get.

    Raises
    ------
    ResumableError
        If the disk is full or fails; nothing is left behind.
    """
    with new_file(path) as temporary:
        with said_clearly(path):
            kinds: dict[str, Callable[..., TableWriter]] = {"tsv": _Text, "parquet": _Parquet, "geojson": _Points}
            writer = kinds[form](temporary, columns)
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


class _Points:
    """A feature for each row, as QuPath reads and writes them."""

    def __init__(self, path: str, columns: Sequence[Column]) -> None:
        names = [column.name for column in columns]
        self._places = _places(names)
        self._measured = [name for name in names if name not in (*self._places.values(), "label", "t")]
        self._file = open(path, "w", encoding="utf-8", newline="\n")  # noqa: SIM115
        self._file.write('{"type": "FeatureCollection", "features": [')
        self._between = "\n"

    def write(self, columns: dict[str, Array]) -> None:
        rows = {name: values.tolist() for name, values in columns.items()}
        for row in range(len(next(iter(rows.values())))):
            place = {axis: rows[name][row] for axis, name in self._places.items()}
            plane = {"z": round(place.get("z", 0)), "t": rows["t"][row], "c": -1} if "t" in rows else {}
            measured = {name: rows[name][row] for name in self._measured}
            feature = {
                "type": "Feature",
                "geometry": {"type": "Point", "coordinates": [place[a] for a in "xyz" if a in place], "plane": plane},
                "properties": {
                    "objectType": "annotation",
                    "name": str(rows["label"][row]),
                    # JSON has no word for what is no number, or infinite.
                    "measurements": {name: value for name, value in measured.items() if isfinite(value)},
                },
            }
            self._file.write(self._between + json.dumps(feature, allow_nan=False))
            self._between = ",\n"

    def close(self) -> None:
        self._file.write("\n]}\n")
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
