"""Opening TIFFs: the one that somebody gave, and those beside it that belong to the same image.

A file that names others was written by whoever; so a name is a plain name in the same folder, and every file is judged
by the policy when it is opened, by its handle, as the first one was. tifffile opens nothing by itself.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from chunkwise.errors import InputError, PolicyError
from chunkwise.files import file_signature, open_file, read_file, unreadable
from chunkwise.formats.tiff_planes import OpenFile, explained
from chunkwise.storage.location import Location

__all__ = ["is_tiff", "member_path", "noted", "open_member", "open_tiff", "read_member"]

#: Files of a set that a process holds open.
AT_ONCE = 64


def open_tiff(path: str, allows: Callable[[str], bool]) -> tuple[Any, OpenFile]:
    """Open a TIFF by tifffile, as the one file that it is.

    Raises
    ------
    InputError
        If it cannot be read.
    PolicyError
        If the policy does not allow it.
    """
    import tifffile

    with explained(path), noted():
        file = OpenFile(open_file(path, allows, what="TIFF"))
        # Left to itself, tifffile opens whatever file the metadata name.
        return tifffile.TiffFile(file.handle, name=os.path.basename(path), _multifile=False), file


@contextmanager
def noted() -> Iterator[list[str]]:
    """Collect what tifffile logs of a file instead of raising it."""
    notes: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage().rpartition("> ")[2]
            if text not in notes:
                notes.append(text)

    logger, collect = logging.getLogger("tifffile"), Collect(logging.WARNING)
    propagate, logger.propagate = logger.propagate, False
    logger.addHandler(collect)
    try:
        yield notes
    finally:
        logger.removeHandler(collect)
        logger.propagate = propagate


def member_path(location: Location, name: str) -> str:
    """Say where a file of a set lies, which was named by another.

    Raises
    ------
    PolicyError
        If it is more than a name.
    InputError
        If there is no such file beside the first.
    """
    assert location.foreign is not None
    given = location.foreign.path
    if name in ("", ".", "..") or any(letter in name for letter in "/\\\0"):
        raise PolicyError(
            f"{given} says that planes lie in '{name[:100]}', which is not the name of a file beside it; nothing else "
            "is opened: put all files of the set into one folder, and correct what it says."
        )
    path = os.path.join(location.foreign.folder, name)
    if not os.path.lexists(path):
        raise InputError(
            f"{given} says that planes lie in '{name}', which is not beside it; put all files of the set into one "
            "folder."
        )
    return path


def _allowed(location: Location) -> Callable[[str], bool]:
    """The rule for a file of a set: in the same folder, no link out of it, and one that the policy allows."""
    assert location.foreign is not None
    folder = location.foreign.folder
    return lambda real: os.path.dirname(real) == folder and location.allows(real)


@contextmanager
def _judged(location: Location, path: str) -> Iterator[None]:
    """Say of a file of a set that it may not be read, or cannot."""
    assert location.foreign is not None
    try:
        yield
    except PolicyError:
        raise PolicyError(
            f"{path} belongs to {location.foreign.path}, but is a link to another folder, or lies where nothing but "
            "the named file may be read; put the files themselves into one folder that may be read."
        ) from None
    except OSError as error:
        raise unreadable(path, error) from None


def is_tiff(location: Location, name: str) -> bool:
    """Whether a file of a set is a TIFF, by how it begins; errors as of :func:`open_member`."""
    path = member_path(location, name)
    with _judged(location, path), open_file(path, _allowed(location), what="file") as file:
        return file.read(2) in (b"II", b"MM")


def read_member(location: Location, name: str) -> bytes:
    """Read a small file of a set whole, such as one of OME-XML; errors as of :func:`open_member`."""
    path = member_path(location, name)
    with _judged(location, path):
        return read_file(path, _allowed(location), largest=location.largest)


def open_member(location: Location, name: str) -> tuple[Any, OpenFile]:
    """Open a TIFF of a set; a process holds some of them open, each as long as it is the same file.

    Raises
    ------
    InputError
        If it is not there, or cannot be read.
    PolicyError
        If it lies elsewhere, or the policy does not allow it.
    """
    path = member_path(location, name)
    return _opened(location, path, file_signature(path))


@lru_cache(maxsize=AT_ONCE)
def _opened(location: Location, path: str, _: tuple[int, ...]) -> tuple[Any, OpenFile]:
    with _judged(location, path):
        return open_tiff(path, _allowed(location))
