"""The files that chunks, or shards, of an array lie in: looked at before they are read.

A chunk without a file is absent, and reads as the fill value. One whose file is there and cannot be read is an error:
a dangling symbolic link (the chunks of a git-annex or DataLad store whose content was not fetched), a folder, a pipe,
a file where a folder has to be. Libraries that read Zarr take most of these for absent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from chunkwise.errors import InputError
from chunkwise.files import Held, check_absent, check_size, hold, unreadable
from chunkwise.storage.location import Location

__all__ = ["chunk_stats", "held_chunks", "hold_chunk"]


def chunk_stats(location: Location, keys: Iterable[str]) -> Iterator[tuple[str, os.stat_result | None]]:
    """Say of chunks what their files are, without reading them; None for an absent chunk. See :func:`hold_chunk`."""
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
    """Hold the files of chunks, as long as they are read; absent chunks are left out. See :func:`hold_chunk`.

    Parameters
    ----------
    keys : iterable of str
        A few hundred at most: each takes an open file.
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
        check_absent(path, location.address, "chunk", sound)
        return None
    except NotADirectoryError:
        raise InputError(
            f"The chunk {path} cannot be read: there is a file where one of its folders should be."
        ) from None
    except OSError as error:
        raise unreadable(path, error, "chunk") from None
    if largest is not None:
        try:
            check_size(path, held.status.st_size, largest, "chunk")
        except InputError:
            held.close()
            raise
    return held
