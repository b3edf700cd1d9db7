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
status      ``done`` or ``failed``
objects     list of [key, sha256, size], on S3 with the server's tag; keys in the output store, or in ``scratch/``
data        what the next pass needs to know, small; null where there is nothing
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
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkwise.storage.writer import StoredObject, clear_errors

__all__ = ["Entry", "Journal", "read_entries"]


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
            handle = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
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
    ) -> Entry:
        """Append one line, in one write, so that lines of other processes do not cut it."""
        status = "done" if error is None else "failed"
        entry = Entry(self.run, name, block, status, objects, data, self.worker, start, end, error)
        self._write(entry.line())
        return entry


def read_entries(folder: str, run: str, name: str | None = None) -> Iterator[Entry]:
    """Read all segments of a run, in the order of their names; broken lines are left out.

    Parameters
    ----------
    folder : str
        Of the journal.
    run : str
        The plan's hash.
    name : str, optional
        Of the pass whose lines are wanted; by default all.
    """
    # Other lines need not be parsed, which takes ten times as long as reading them.
    mark = b'"pass":' + json.dumps(name).encode() if name is not None else b""
    for segment in sorted(Path(folder).glob("*.jsonl")):
        with segment.open("rb") as file:
            for line in file:
                entry = Entry.parse(line) if mark in line else None
                if entry is not None and entry.run == run and name in (None, entry.name):
                    yield entry
