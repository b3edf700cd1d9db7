"""Small output files, such as a crate, a table or a picture: all of it under the final name, or nothing.

Stores of many shards are written elsewhere, by the one writer.
"""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from chunkwise.errors import InputError, ResumableError

__all__ = ["check_on_this_machine", "check_output_file", "new_file", "said_clearly", "sweep_left", "write_atomically"]


def check_on_this_machine(path: Path | str) -> None:
    """Refuse a URL for what is written as a file.

    Raises
    ------
    InputError
        With what is needed instead.
    """
    if "://" in str(path):
        raise InputError(f"{path} is a URL, and this file can only be written to this machine; give a path.")


#: Of a file that is not whole yet, after its name and the letters of ``tempfile``.
_PART = ".part"
_LETTERS = re.compile(r"[a-z0-9_]{8}\.part")


def check_output_file(path: Path | str) -> Path:
    """Say early whether a file may be written: its folder is there, and nothing would be lost.

    An empty file may be replaced, because Galaxy makes one for every output before the tool starts. What a process
    that was killed left of this very file is removed.

    Raises
    ------
    InputError
        If the folder is missing or not writable, or the name is taken.
    """
    check_on_this_machine(path)
    path = Path(path)
    folder = path.parent
    if not folder.is_dir():
        raise InputError(f"The folder {folder} does not exist, so {path.name} cannot be written there; make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"The folder {folder} cannot be written to, so {path.name} needs another place.")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file.")
    if path.exists() and not path.is_file():
        # Its size is 0, as that of the file that Galaxy makes; a file in its place would break what others do with it.
        raise InputError(f"{path} is not a regular file but a device, a pipe or a socket; give the name of a file.")
    if path.exists() and path.stat().st_size > 0:
        raise InputError(f"{path} exists already and is not overwritten; give another name or remove it.")
    sweep_left(path)
    return path


def write_atomically(path: Path | str, content: bytes) -> None:
    """Write a file so that its name appears only when every byte is on the disk.

    Raises
    ------
    InputError
        As :func:`check_output_file`.
    ResumableError
        If the disk is full or fails; nothing is left behind.
    """
    path = check_output_file(path)
    with new_file(path) as temporary, said_clearly(path), open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def new_file(path: Path | str) -> Iterator[str]:
    """Make a file under a temporary name beside the final one, which it gets when all has gone well.

    Yields
    ------
    str
        The temporary name; what is left of it after a failure is removed.

    Raises
    ------
    ResumableError
        As :func:`said_clearly`.
    """
    path = Path(path)
    with said_clearly(path):
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=_PART, dir=path.parent)
    try:
        with suppress(OSError):  # a file system without locks: nobody will sweep there either
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield temporary
        with said_clearly(path):
            os.chmod(temporary, _usual_mode())  # mkstemp's own mode would hide the file from other people
            os.replace(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)
        os.close(handle)


def sweep_left(path: Path | str) -> None:
    """Remove what is left of a file by processes that were killed; whoever writes it still holds it locked."""
    path = Path(path)
    try:
        names = os.listdir(path.parent)
    except OSError:
        return  # a folder that may be written to and not be read
    for name in names:
        if not name.startswith(f".{path.name}.") or not _LETTERS.fullmatch(name[len(path.name) + 2 :]):
            continue
        left = path.with_name(name)
        with suppress(OSError):
            handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                if stat.S_ISREG(os.fstat(handle).st_mode):
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    left.unlink()
            finally:
                os.close(handle)


@contextmanager
def said_clearly(path: Path | str) -> Iterator[None]:
    """Turn what the file system says while a file is written into one sentence.

    Raises
    ------
    ResumableError
        If the disk is full or fails.
    """
    try:
        yield
    except OSError as error:
        raise ResumableError(
            f"{path} could not be written: {error.strerror or error}; make room or choose another place, and run the "
            "same command again."
        ) from None


def _usual_mode() -> int:
    """Return the mode that a plainly opened file gets; the mask can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
