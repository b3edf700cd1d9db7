"""Crates of runs that did not come to their end, and what the disk says of them."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path

from chunkwise.blocks.table import COLUMNS
from chunkwise.cli import main
from chunkwise.provenance.record import RunRecord
from chunkwise.provenance.validate import validate_crate

__all__ = ["Rows", "check_table", "close", "objects_of", "objects_there"]

Rows = list[dict[str, str]]


def read_crate(crate: Path) -> tuple[RunRecord, Rows]:
    """The record and the table of blocks, which has the sha256 that the record names."""
    with zipfile.ZipFile(crate) as archive:
        (name,) = [name for name in archive.namelist() if name.startswith("records/")]
        record = RunRecord.from_dict(json.loads(archive.read(name)))
        assert record.blocks is not None
        table = archive.read(str(record.blocks["table"]))
    assert hashlib.sha256(table).hexdigest() == record.blocks["sha256"]
    header, *rows = [line.split("\t") for line in gzip.decompress(table).decode().splitlines()]
    assert header == list(COLUMNS)
    return record, [dict(zip(header, row, strict=True)) for row in rows]


def close(run: Path, crate: Path, *, strictly: bool = False) -> tuple[RunRecord, Rows]:
    """Build the crate of a run, and hold it to the strict rules, which takes seconds."""
    assert main(["crate", "build", "--from", str(run), "--output", str(crate)]) == 0
    if strictly:
        assert validate_crate(crate, level="recommended") == []
    return read_crate(crate)


def objects_of(rows: Rows) -> dict[str, str]:
    """What rows that say done name: key to sha256."""
    return {
        key: digest
        for row in rows
        if row["status"] == "done" and row["objects"]
        for key, digest in zip(row["objects"].split(","), row["sha256"].split(","), strict=True)
    }


def objects_there(output: Path, run: Path | None = None) -> dict[str, str]:
    """What is on the disk, by a walk of our own: chunks of the unfinished store, and what passes left each other."""
    store, run = Path(f"{output}.partial"), run or Path(f"{output}.run")
    found = {path.relative_to(store).as_posix(): path for path in store.rglob("c/**/*")}
    found |= {path.relative_to(run).as_posix(): path for path in (run / "scratch").rglob("*")}
    return {
        key: hashlib.sha256(path.read_bytes()).hexdigest()
        for key, path in found.items()
        if path.is_file() and not path.name.endswith(".tmp")
    }


def check_table(rows: Rows, output: Path, run: Path | None = None, workers: int = 2) -> None:
    """Hold the table to the disk, where so many workers were killed at once."""
    said, there = objects_of(rows), objects_there(output, run)
    assert said
    assert {key: there.get(key) for key in said} == said
    # A worker that is killed between the objects of a block and its line leaves them with nobody to vouch for them.
    unsaid = {
        key.rpartition(".")[0] for key in there if key not in said and not key.endswith((".npy", ".tbl", "joined"))
    }
    assert len(unsaid) <= workers, unsaid
    assert [(row["pass"], int(row["block"])) for row in rows] == sorted(
        (row["pass"], int(row["block"])) for row in rows
    )
