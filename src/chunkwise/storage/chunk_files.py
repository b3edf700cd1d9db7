"""The files that chunks, or shards, of an array lie in: looked at before they are read.

A chunk without a file is absent, and reads as the fill value. One whose file is there and cannot be read is an error:
a dangling symbolic link (the chunks of a git-annex or DataLad store whose content was not fetched), a folder, a pipe,
a file where a folder has to be. Libraries that read Zarr take most of these for absent.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from chunkwise.errors import InputError
from chunkwise.storage.files import Held, check_size, hold, unreadable
from chunkwise.storage.location import Location

__all__ = ["chunk_stats", "held_chunks", "hold_chunk", "watch"]

#: What is told of every chunk that a reader of this process looked at: location of the array, key, and what the file
#: was; None for an absent one.
Watcher = Callable[[Location, str, os.stat_result | None], None]

_watchers: list[Watcher] = []


@contextmanager
def watch(watcher: Watcher) -> Iterator[None]:
    """Tell somebody of all chunks that this process' readers look at; only files have an ``os.stat_result``."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)


def chunk_stats(location: Location, keys: Iterable[str]) -> Iterator[tuple[str, os.stat_result | None]]:
    """Say of chunks what their files are, without reading them; None for an absent chunk.

    Raises
    ------
    InputError
        If one is there and cannot be read.
    PolicyError
        If one is, or lies behind, a symbolic link to what the policy does not allow.
    """
    sound: set[str] = set()
    for key in keys:
        held = hold_chunk(location, key, None, sound)
        if held is None:
            yield key, None
        else:
            held.close()
            yield key, held.status


@contextmanager
def held_chunks(location: Location, keys: Iterable[str], largest: int | None = None) -> Iterator[dict[str, Held]]:
    """Hold the files of chunks, as long as they are read; absent chunks are left out.

    Parameters
    ----------
    location : Location
        Of the array; a folder.
    keys : iterable of str
        A few hundred at most: each takes an open file.
    largest : int, optional
        Bytes that the file of one may have.

    Raises
    ------
    InputError
        If one is there and cannot be read.
    PolicyError
        If one is, or lies behind, a symbolic link to what the policy does not allow.
    """
    found: dict[str, Held] = {}
    sound: set[str] = set()
    try:
        for key in keys:
            held = hold_chunk(location, key, largest, sound)
            if held is not None:
                found[key] = held
        yield found
    finally:
        for held in found.values():
            held.close()


def hold_chunk(location: Location, key: str, largest: int | None = None, sound: set[str] | None = None) -> Held | None:
    """Hold the file of one chunk; None where the chunk is absent.

    Parameters
    ----------
    location : Location
        Of the array; a folder.
    key : str
        Of the chunk.
    largest : int, optional
        Bytes that its file may have.
    sound : set of str, optional
        Folders, or names of folders that are not there, in which an absent chunk is really absent; filled.

    Raises
    ------
    InputError
        If it is there and cannot be read.
    PolicyError
        If it is, or lies behind, a symbolic link to what the policy does not allow.
    """
    path = os.path.join(location.address, key)
    try:
        held = hold(path, location.allows if location.boundary is not None else None, "chunk")
    except FileNotFoundError:
        _check_absent(path, location.address, set() if sound is None else sound)
        _tell(location, key, None)
        return None
    except NotADirectoryError:
        raise InputError(f"The chunk {path} cannot be read: a file lies where one of its folders has to be.") from None
    except OSError as error:
        raise unreadable(path, error, "chunk") from None
    try:
        if largest is not None:
            check_size(path, held.status.st_size, largest, "chunk")
        _tell(location, key, held.status)
    except BaseException:
        held.close()
        raise
    return held


def _tell(location: Location, key: str, status: os.stat_result | None) -> None:
    for watcher in _watchers:
        watcher(location, key, status)


def _check_absent(path: str, top: str, sound: set[str]) -> None:
    """Refuse to call a chunk absent whose name, or a folder of it, is a link that leads nowhere."""
    place, looked = path, []
    while len(place) > len(top) and place not in sound:
        looked.append(place)
        try:
            is_link = stat.S_ISLNK(os.lstat(place).st_mode)
        except FileNotFoundError:
            place = os.path.dirname(place)
            continue
        except OSError as error:
            raise unreadable(path, error, "chunk") from None
        if is_link and not os.path.exists(place):
            name = "" if place == path else f" {place}"
            raise InputError(
                f"The chunk {path} cannot be read: the symbolic link{name} leads to nothing; was its content fetched "
                f"(git annex get, datalad get)? It leads to {os.readlink(place)}."
            )
        break
    sound.update(looked[1:])
