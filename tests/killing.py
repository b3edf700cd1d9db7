"""Runs that are killed, stopped and disturbed: how far they are, and inputs that change without their names telling."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.blocks.journal import Entry, Journal

__all__ = ["CHANGES", "at_line", "chunks", "lines", "plain_store", "rewrite_unseen", "start", "wait_for"]


def start(words: list[str]) -> subprocess.Popen[bytes]:
    """Start the command in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "chunkwise.cli", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def lines(run: Path, phase: str) -> int:
    """How many blocks of a phase the journal names."""
    found = 0
    for segment in (run / "journal").glob("*.jsonl"):
        found += segment.read_bytes().count(b'"pass":"%s"' % phase.encode())
    return found


def wait_for(process: subprocess.Popen[bytes], run: Path, phase: str, more_than: int) -> bool:
    """Wait until a phase has got so far; False where the process ended before."""
    while lines(run, phase) <= more_than:
        if process.poll() is not None:
            return False
        time.sleep(0.002)
    return True


def at_line(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], Any]) -> None:
    """Do something when this process writes a line of the journal: an exception ends the run as Ctrl-C does."""
    written, count = Journal.append, iter(range(1_000_000))

    def append(*args: Any, **more: Any) -> Entry:
        entry = written(*args, **more)
        if next(count) == number:
            act()
        return entry

    monkeypatch.setattr(Journal, "append", append)


def plain_store(path: Path, voxels: np.ndarray[Any, Any], labels: bool = False, chunk: int = 32) -> Path:
    """Write an image of one level whose chunks have one size whatever they hold, as without compression."""
    axes = "cyx"[-voxels.ndim :]
    entry = made_stores.multiscale(axes, levels=1)
    extra = {"image-label": {"version": "0.5"}} if labels else None
    made_stores.write(path, "0.5", axes, voxels.shape, voxels.dtype, entry=entry, extra=extra, chunk=chunk)
    chunks_of = (1, chunk, chunk)[-voxels.ndim :]
    array = zarr.create_array(
        path / "0", shape=voxels.shape, dtype=voxels.dtype, chunks=chunks_of, compressors=None,
        dimension_names=list(axes), overwrite=True, config={"write_empty_chunks": True},
    )  # fmt: skip
    array[...] = voxels
    return path


def chunks(store: Path) -> list[Path]:
    """The files of the first level's chunks."""
    return sorted(path for path in (store / "0" / "c").rglob("*") if path.is_file())


def _rewrite(path: Path) -> None:
    """Other voxels in the same file: of the same size, and at another time."""
    content = bytearray(path.read_bytes())
    content[: len(content) // 2] = content[len(content) // 2 :]
    content[-8:] = bytes(reversed(content[-8:]))
    with path.open("r+b") as file:
        file.write(content)


def rewrite_unseen(path: Path) -> None:
    """Other voxels of the same size, and the file's old time put back."""
    times = path.stat()
    _rewrite(path)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def _replace(path: Path) -> None:
    """Another file of the same name, size and time."""
    other = path.with_name(".other")
    other.write_bytes(path.read_bytes())
    rewrite_unseen(other)
    times = path.stat()
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)


def _appear(path: Path) -> None:
    """A chunk that was not there."""
    here = next(other for other in chunks(path.parents[3]) if other.exists())
    path.write_bytes(here.read_bytes())


CHANGES: dict[str, Callable[[Path], None]] = {
    "rewritten": _rewrite,
    "rewritten with its time put back": rewrite_unseen,
    "replaced": _replace,
    "gone": lambda path: path.unlink(),
    "new": _appear,
}
