"""What the jobs of an array and the process that leads them hand each other, as files.

The folder of one pass holds::

    calls, offsets.npy    what is to be done, one pickle after the other, and where each begins
    round-N.npy           numbers of the calls that jobs of the N-th try are to do
    claims-N/             an empty file for every call that a job has begun in that try
    results/              what came out: one file a job, which it appends to

Pickles are code. They are read only from folders that nobody but the owner of this process can write.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import stat
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from chunkwise.errors import PolicyError
from chunkwise.storage.writer import clear_errors

__all__ = [
    "Calls",
    "Results",
    "append_result",
    "begin_round",
    "claims",
    "last_words",
    "numbers_of_round",
    "private_folder",
    "take",
    "write_calls",
]

#: Before every result: number of the call, length of the pickle and its checksum.
_HEAD = struct.Struct("<QQI")


def private_folder(path: str, make: bool = False) -> str:
    """Insist on a folder that only the owner of this process can write and read.

    Parameters
    ----------
    path : str
        Of the folder.
    make : bool
        Whether to make it where it is not there.

    Raises
    ------
    PolicyError
        If somebody else could have put something into it.
    """
    with clear_errors(path):
        if make:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(path, 0o700)
        status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise PolicyError(
            f"{path} can be written or read by other accounts, and what is in it is run as code; remove it, and run "
            "the same command again."
        )
    return path


def last_words(paths: Iterable[str]) -> str:
    """The last line of the newest log that has one, as the part of a sentence; else nothing."""
    for path in sorted(filter(os.path.exists, paths), key=os.path.getmtime, reverse=True):
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
        if lines:
            return f" (the last line in {path}: {lines[-1][:300]})"
    return ""


def write_calls(folder: str, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> tuple[str, int]:
    """Write calls down one by one, so that memory does not bound their number.

    Parameters
    ----------
    folder : str
        In which the pass gets a folder of its own, whose name is a hash of the calls: the same calls find what
        was there before.
    function : callable
        Module-level.
    calls : iterable of tuple
        Its arguments.

    Returns
    -------
    str
        The folder of the pass.
    int
        Number of calls.
    """
    digest = hashlib.sha256()
    offsets = [0]
    fresh = os.path.join(folder, f"new-{os.getpid()}")
    with clear_errors(folder):
        with open(fresh, "wb") as file:
            for call in calls:
                content = pickle.dumps((function, call), pickle.HIGHEST_PROTOCOL)
                digest.update(content)
                offsets.append(offsets[-1] + file.write(content))
        path = private_folder(os.path.join(folder, digest.hexdigest()[:24]), make=True)
        private_folder(os.path.join(path, "results"), make=True)
        np.save(os.path.join(path, "offsets.npy"), np.asarray(offsets, np.int64))
        os.replace(fresh, os.path.join(path, "calls"))
    return path, len(offsets) - 1


class Calls:
    """The calls of a pass, read one at a time."""

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, "calls")
        self._offsets = np.load(os.path.join(folder, "offsets.npy"), mmap_mode="r")

    def read(self, number: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Function and arguments of a call."""
        begin, end = self._offsets[number : number + 2].tolist()
        with open(self._path, "rb") as file:
            file.seek(begin)
            function, call = pickle.loads(file.read(end - begin))  # noqa: S301 -- a private folder
        return function, call


def claims(folder: str, turn: int) -> set[int]:
    """Numbers of the calls that jobs have begun in a try."""
    try:
        return {int(name) for name in os.listdir(os.path.join(folder, f"claims-{turn}"))}
    except FileNotFoundError:
        return set()


def take(folder: str, turn: int, order: Iterable[int]) -> Iterator[int]:
    """Claim calls one after the other, each for this process alone.

    Parameters
    ----------
    folder, turn
        Of the pass, and which try it is.
    order : iterable of int
        Numbers, in the order in which they are tried.
    """
    place = os.path.join(folder, f"claims-{turn}")
    taken: set[int] = set()
    for number in order:
        if number in taken:
            continue
        try:
            # On a shared file system, too, a file is made anew by one process only.
            os.close(os.open(os.path.join(place, str(number)), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            taken = claims(folder, turn)
            continue
        yield number


def begin_round(folder: str, numbers: np.ndarray[Any, np.dtype[np.int64]]) -> int:
    """Write down which calls are to be done in the next try; its number."""
    turn = 1
    while os.path.exists(os.path.join(folder, f"claims-{turn}")):
        turn += 1
    with clear_errors(folder):
        np.save(os.path.join(folder, f"round-{turn}.npy"), numbers)
        os.mkdir(os.path.join(folder, f"claims-{turn}"), 0o700)
    return turn


def numbers_of_round(folder: str, turn: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Numbers of the calls of a try."""
    return np.asarray(np.load(os.path.join(folder, f"round-{turn}.npy")))


def append_result(folder: str, worker: str, number: int, result: Any) -> None:
    """Append what came out of a call to this job's file; opened each time, so that other nodes see it."""
    content = pickle.dumps(result, pickle.HIGHEST_PROTOCOL)
    path = os.path.join(folder, "results", worker)
    with clear_errors(path), open(path, "ab") as file:
        file.write(_HEAD.pack(number, len(content), zlib.crc32(content)) + content)


class Results:
    """Follows the files of results while they grow; what is torn is waited for, or never comes."""

    def __init__(self, folder: str) -> None:
        self._folder = os.path.join(folder, "results")
        self._read: dict[str, int] = {}

    def fresh(self) -> Iterator[tuple[int, Any]]:
        """Results that were not there before: number of the call, and what came out."""
        for name in sorted(os.listdir(self._folder)):
            with open(os.path.join(self._folder, name), "rb") as file:
                file.seek(self._read.get(name, 0))
                while True:
                    head = file.read(_HEAD.size)
                    if len(head) < _HEAD.size:
                        break
                    number, length, check = _HEAD.unpack(head)
                    content = file.read(length)
                    if len(content) < length or zlib.crc32(content) != check:
                        break
                    self._read[name] = file.tell()
                    yield number, pickle.loads(content)  # noqa: S301 -- a private folder
