"""The one log: what was done to which block, by whom, when, and which bytes came out.

It is the record of progress, the source of the output's fingerprint and the crate's block table.
Every process appends to a segment of its own, one line at a time::

    {"block": 12, "objects": [["0/c/0/0/0", "<sha256>", 8123]], "pass": "write", ...}<TAB><crc32>

A line whose checksum does not fit (a torn tail after a kill) is ignored. A block counts as done
when its line is there and the objects it names have the hashes it names; nothing else says so.

==========  ================================================================================
run         the plan's hash: lines of another plan are ignored
pass        name of the pass
block       id of the block or unit in that pass
status      ``done`` or ``failed``; ``begun`` in the line with which a pass begins, whose block is -1
objects     list of [key, sha256, size], on S3 with the server's tag; keys in the output store, or in ``scratch/``
data        what the next pass needs to know, small; null where there is nothing. Where a pass begins: ``count``
            of its blocks, and the ``grid`` (shape, unit, block) and what ``each`` number is in it: block, unit, volume
content     what the voxels add up to, where the block wrote some of the full resolution; else there is no such key
worker      host and process id
start, end  seconds since the epoch
error       the sentence, where it failed
==========  ================================================================================
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from chunkwise.errors import ResumableError
from chunkwise.files import open_file
from chunkwise.storage.writer import StoredObject, clear_errors

__all__ = ["BEGUN", "Entry", "Journal", "last_time", "read_entries", "read_lines"]

#: Status of the line with which a pass begins.
BEGUN = "begun"

#: Bytes at the end of a segment in which its last line is looked for; lines are shorter by far.
TAIL = 2**20


@dataclass(frozen=True)
class Entry:
    """One line of the journal."""

    run: str
    name: str
    """Of the pass."""
    block: int
    status: str
    objects: tuple[StoredObject, ...]
    data: Any
    worker: str
    start: float
    end: float
    error: str | None = None
    content: Any = None

    def line(self) -> bytes:
        """The line as it is written, checksum and newline included."""
        content = {
            "run": self.run,
            "pass": self.name,
            "block": self.block,
            "status": self.status,
            "objects": [item.row() for item in self.objects],
            "data": self.data,
            "worker": self.worker,
            "start": round(self.start, 6),
            "end": round(self.end, 6),
            "error": self.error,
        }
        if self.content is not None:
            content["content"] = self.content
        text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
        return text + b"\t%08x\n" % zlib.crc32(text)

    @classmethod
    def parse(cls, line: bytes) -> Entry | None:
        """Read a line; None where its checksum does not fit."""
        text, _, check = line.rstrip(b"\n").rpartition(b"\t")
        if not line.endswith(b"\n") or check != b"%08x" % zlib.crc32(text):
            return None
        content = json.loads(text)
        return cls(
            content["run"],
            content["pass"],
            content["block"],
            content["status"],
            tuple(StoredObject(*item) for item in content["objects"]),
            content["data"],
            content["worker"],
            content["start"],
            content["end"],
            content["error"],
            content.get("content"),
        )


class Journal:
    """The segment that this process appends to.

    Parameters
    ----------
    folder : str
        ``journal/`` of the run directory.
    run : str
        The plan's hash.
    """

    def __init__(self, folder: str, run: str) -> None:
        self.run = run
        self.worker = f"{socket.gethostname()}-{os.getpid()}"
        self._path = os.path.join(folder, f"{self.worker}.jsonl")
        if os.path.exists(self._path):
            # A process of the same name may have died in the middle of a line.
            self._write(b"\n")

    def _write(self, line: bytes) -> None:
        """Append in one write; opened each time, so that no process has to remember to close it."""
        with clear_errors(self._path):
            os.makedirs(os.path.dirname(self._path), exist_ok=True)
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
            try:
                if os.write(handle, line) < len(line):
                    raise OSError(errno.ENOSPC, "the line was cut")
            finally:
                os.close(handle)

    def append(
        self,
        name: str,
        block: int,
        start: float,
        end: float,
        objects: tuple[StoredObject, ...] = (),
        data: Any = None,
        error: str | None = None,
        content: Any = None,
    ) -> Entry:
        """Append one line, in one write, so that lines of other processes do not cut it."""
        status = "done" if error is None else "failed"
        return self._append(name, block, status, start, end, objects, data, error, content)

    def begin(self, name: str, about: dict[str, Any]) -> Entry:
        """Say that a pass begins, and what its numbers mean."""
        now = time.time()
        return self._append(name, -1, BEGUN, now, now, (), about, None)

    def _append(
        self,
        name: str,
        block: int,
        status: str,
        start: float,
        end: float,
        objects: tuple[StoredObject, ...],
        data: Any,
        error: str | None,
        content: Any = None,
    ) -> Entry:
        entry = Entry(self.run, name, block, status, objects, data, self.worker, start, end, error, content)
        self._write(entry.line())
        return entry


def read_entries(folder: str, run: str, name: str | None = None, having: str | None = None) -> Iterator[Entry]:
    """Read all segments of a run, in the order of their names, without the lines with which passes begin.

    Parameters
    ----------
    folder : str
        Of the journal.
    run : str
        The plan's hash.
    name : str, optional
        Of the pass whose lines are wanted; by default all.
    having : str, optional
        Key that the lines have to have.
    """
    return (entry for _, _, entry in read_lines(folder, run, name, having) if entry.status != BEGUN)


def read_lines(
    folder: str, run: str, name: str | None = None, having: str | None = None
) -> Iterator[tuple[str, int, Entry]]:
    """Read every line as :func:`read_entries` does, also those with which passes begin; broken ones are left out.

    Yields
    ------
    path : str
        Of the segment.
    offset : int
        Where the line begins in it.
    entry : Entry
    """
    # Other lines need not be parsed, which takes ten times as long as reading them.
    marks = [f'"{having}":'.encode()] if having is not None else []
    if name is not None:
        marks.append(b'"pass":' + json.dumps(name).encode())
    for segment in sorted(Path(folder).glob("*.jsonl")):
        offset = 0
        with _opened(segment) as file:
            for line in file:
                entry = Entry.parse(line) if all(mark in line for mark in marks) else None
                if entry is not None and entry.run == run and name in (None, entry.name):
                    yield str(segment), offset, entry
                offset += len(line)


def _opened(segment: Path) -> BinaryIO:
    try:
        return open_file(segment)
    except OSError as error:
        raise ResumableError(
            f"The log {segment} cannot be read ({os.strerror(error.errno or 0)}); fix that, or remove the run's "
            "directory to start over."
        ) from None


def last_time(folder: str, run: str) -> float | None:
    """When the last line of a run was written, from the ends of its segments; None where there is no line."""
    found: float | None = None
    for segment in Path(folder).glob("*.jsonl"):
        with _opened(segment) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - TAIL))
            lines = file.read().splitlines(keepends=True)
        for line in reversed(lines):
            entry = Entry.parse(line)
            if entry is not None and entry.run == run:
                found = entry.end if found is None else max(found, entry.end)
                break
    return found
