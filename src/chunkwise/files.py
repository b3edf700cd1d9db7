"""Opening files that anybody may have put there: plain files of a bounded size, judged by the handle.

A name can be made to mean another file between a check and its use. So a file is opened without reading from it,
which never waits, not for a pipe either; what the handle is and where it really lies is looked at; and what is read
is read through that same handle. Where the system has no ``/proc`` the checks are made by name.
"""

from __future__ import annotations

import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader
from typing import Final, NamedTuple

from chunkwise.errors import InputError, PolicyError

__all__ = [
    "DOCUMENT",
    "UNREADABLE_ZIP",
    "Held",
    "check_absent",
    "check_size",
    "file_signature",
    "hold",
    "is_zip",
    "open_file",
    "open_zip",
    "read_file",
    "unreadable",
]

#: Bytes of a small file at most, such as a metadata document or a reference, where the site does not say otherwise.
DOCUMENT = 64 * 2**20

#: What reading a zip file raises that is damaged, or made to do harm.
UNREADABLE_ZIP: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    UnicodeDecodeError,
    NotImplementedError,
    EOFError,
    RuntimeError,  # an encrypted file
)

#: Whether handles can be followed back to files, and opened anew.
BY_HANDLE = hasattr(os, "O_PATH") and os.path.isdir("/proc/self/fd")

_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class Held(NamedTuple):
    """A plain file that was found allowed; whoever asked for it closes it."""

    status: os.stat_result
    path: str
    """What to open in order to read this very file."""
    handle: int | None

    def close(self) -> None:
        """Let it go."""
        if self.handle is not None:
            os.close(self.handle)


def hold(path: str, allows: Callable[[str], bool] | None = None, what: str = "file") -> Held:
    """Take hold of a plain file without reading it, and without waiting for it.

    Parameters
    ----------
    path : str
        The file; symbolic links are followed.
    allows : callable, optional
        Says of a path, links resolved, whether the policy allows it.
    what : str
        What errors call it.

    Raises
    ------
    OSError
        If it cannot be opened, as by ``open``.
    InputError
        If it is not a regular file, such as a pipe, which would never end.
    PolicyError
        If it lies where the policy does not allow it.
    """
    if not BY_HANDLE:
        status = os.stat(path)
        _judge(path, status, what)
        _allow(path, os.path.realpath(path), allows, what)
        return Held(status, path, None)
    handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        status, again = os.fstat(handle), f"/proc/self/fd/{handle}"
        _judge(path, status, what)
        if allows is not None:
            real = os.readlink(again)
            # One that was removed in between is marked so.
            _allow(path, real if status.st_nlink else real.removesuffix(" (deleted)"), allows, what)
    except BaseException:
        os.close(handle)
        raise
    return Held(status, again, handle)


def open_file(
    path: str | os.PathLike[str],
    allows: Callable[[str], bool] | None = None,
    *,
    largest: int | None = None,
    what: str = "file",
    key: str | None = None,
) -> BufferedReader:
    """Open a file for reading that anybody may have put there, if it is a plain one and not too large.

    Parameters
    ----------
    path : path
        The file; symbolic links are followed.
    allows : callable, optional
        Says of a path, links resolved, whether the policy allows it.
    largest : int, optional
        Bytes at most.
    what : str
        What errors call it.
    key : str, optional
        The key of the site file's ``[limits]`` that says how large it may be.

    Raises
    ------
    OSError
        If it cannot be opened, as by ``open``.
    InputError
        If it is not a regular file, or too large.
    PolicyError
        If it lies where the policy does not allow it.
    """
    name = os.fspath(path)
    held = hold(name, allows, what)
    try:
        if largest is not None:
            check_size(name, held.status.st_size, largest, what, key)
        return open(held.path, "rb")
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None  # by its own name, not by that of the handle
    finally:
        held.close()


def read_file(
    path: str | os.PathLike[str],
    allows: Callable[[str], bool] | None = None,
    *,
    largest: int = DOCUMENT,
    what: str = "file",
    key: str | None = None,
) -> bytes:
    """Read a whole file as :func:`open_file` opens it, and with the same errors.

    Parameters
    ----------
    path, allows, what, key
        As of :func:`open_file`.
    largest : int
        Bytes at most.
    """
    with open_file(path, allows, largest=largest, what=what, key=key) as file:
        content = file.read(largest + 1)  # it may have grown, or not say how large it is
    check_size(os.fspath(path), len(content), largest, what, key)
    return content


@contextmanager
def open_zip(path: str | os.PathLike[str], what: str = "file") -> Iterator[zipfile.ZipFile]:
    """Open a zip file that anybody may have put there, if it is a plain file.

    Raises
    ------
    OSError
        If it cannot be opened, as by ``open``.
    zipfile.BadZipFile
        If it is none.
    InputError
        If it is not a regular file.
    """
    with open_file(path, what=what) as file, zipfile.ZipFile(file) as archive:
        yield archive


def is_zip(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a zip file, and a plain file at all."""
    try:
        with open_file(path) as file:
            return zipfile.is_zipfile(file)
    except (OSError, InputError):
        return False


def check_size(path: str, size: int, largest: int, what: str = "file", key: str | None = None) -> None:
    """Refuse a file of more bytes than one of its kind may have.

    Raises
    ------
    InputError
        If it is too large.
    """
    if size <= largest:
        return
    more = f"; the key '{key}' of [limits] in the site file says how large one may be" if key else ""
    raise InputError(f"The {what} {path} has {size} bytes or more, and {largest} are allowed{more}.")


def file_signature(path: str) -> tuple[int, int, int]:
    """Return what tells another file of the same name, or the same one after a change: inode, size and time.

    Raises
    ------
    InputError
        If there is no such file.
    """
    try:
        status = os.stat(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from None
    return status.st_ino, status.st_size, status.st_mtime_ns


def check_absent(path: str, top: str, what: str = "file", sound: set[str] | None = None) -> None:
    """Refuse to call a file absent whose name, or a folder of it, is a link that leads nowhere.

    Parameters
    ----------
    path : str
        What was not found.
    top : str
        The folder above it that is known to be there.
    what : str
        What errors call it.
    sound : set of str, optional
        Folders in which what was not found is really absent, known from before; filled.

    Raises
    ------
    InputError
        If there is such a link.
    """
    place, looked, known = path, [], set() if sound is None else sound
    while len(place) > len(top) and place not in known:
        looked.append(place)
        try:
            is_link = stat.S_ISLNK(os.lstat(place).st_mode)
        except FileNotFoundError:
            place = os.path.dirname(place)
            continue
        except OSError as error:
            raise unreadable(path, error, what) from None
        if is_link and not os.path.exists(place):
            name = "" if place == path else f" {place}"
            try:
                target = os.readlink(place)
            except OSError as error:  # it was changed meanwhile
                raise unreadable(path, error, what) from None
            raise InputError(
                f"The {what} {path} cannot be read: the symbolic link{name} leads to {target}, where there is "
                "nothing; if a tool such as git-annex or DataLad keeps the content elsewhere, fetch it first."
            )
        break
    known.update(looked[1:])


def unreadable(path: str, error: OSError, what: str = "file") -> InputError:
    """Say in one sentence why a file cannot be read."""
    return InputError(f"The {what} {path} cannot be read: {os.strerror(error.errno or 0)}.")


def _judge(path: str, status: os.stat_result, what: str) -> None:
    if stat.S_ISREG(status.st_mode):
        return
    kind = next((name for is_kind, name in _KINDS if is_kind(status.st_mode)), "something else")
    raise InputError(f"The {what} {path} is not a regular file but {kind}, so it cannot be read.")


def _allow(path: str, real: str, allows: Callable[[str], bool] | None, what: str) -> None:
    if allows is not None and not allows(real):
        raise PolicyError(
            f"The {what} {path} is a symbolic link out of the store, or is behind one, which this site does not allow."
        )
