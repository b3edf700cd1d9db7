"""Files that a process holds locked while it works; the kernel lets go of them when it ends, however."""

from __future__ import annotations

import errno
import fcntl
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from chunkwise.errors import ChunkwiseError, InputError, ResumableError

__all__ = ["held", "is_held"]

#: Seconds between two tries, and before the first line that says that it waits.
AGAIN, SAYS = 0.1, 1.0


@contextmanager
def held(path: str, busy: ChunkwiseError, patience: float = 0.0, waiting: str = "") -> Iterator[None]:
    """Hold a lock; its file is empty, and removed in the end.

    Parameters
    ----------
    path : str
        Of the file; the folders around it are made.
    busy : ChunkwiseError
        What is raised where another process holds the lock.
    patience : float
        Seconds to wait for that process.
    waiting : str
        What is said meanwhile, on standard error.

    Raises
    ------
    InputError
        If the file is no lock.
    ResumableError
        If the file cannot be made.
    PermissionError
        If it may not be made.
    """
    begun, say = time.monotonic(), SAYS
    while (handle := _take(path)) is None:
        waited = time.monotonic() - begun
        if waited >= patience:
            raise busy from None
        if waiting and waited >= say:
            print(f"waiting    {waiting}", file=sys.stderr, flush=True)
            say = 4 * waited
        time.sleep(AGAIN)
    try:
        yield
    finally:
        with suppress(FileNotFoundError):  # where somebody removed the folder around it
            os.unlink(path)
        os.close(handle)


def is_held(path: str) -> bool:
    """Whether a process holds a lock."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _take(path: str) -> int | None:
    """Lock the file; None where another process holds it, or has just let go of it."""
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except FileNotFoundError:
        return None  # whoever held it removed the folder around it
    except PermissionError:
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(
                f"{path} is a symbolic link, and a run keeps its lock under that name; remove it."
            ) from None
        raise ResumableError(f"{path} cannot be made: {os.strerror(error.errno or 0)}.") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A file that was removed by its holder, who has just ended, may be another's by now, or gone the next moment.
        mine = False
        with suppress(FileNotFoundError):
            mine = os.path.samestat(os.fstat(handle), os.stat(path))
        if mine and os.fstat(handle).st_size:
            # The directory of a run may come from anybody, and would have us remove what it calls a lock.
            raise InputError(f"{path} is not a lock file, because it is not empty; it is left as it is.")
        if mine:
            return handle
    except BlockingIOError:
        pass
    except BaseException:
        os.close(handle)
        raise
    os.close(handle)
    return None
