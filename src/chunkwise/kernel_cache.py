"""Where compiled kernels are kept, so that they are compiled once for every kind of processor.

numba keeps them beside the source, else in the user's own cache folder, and refuses to be imported
where neither can be written: in a read-only installation used by jobs without a home directory, as
on many clusters. Then they go to a folder of this user's below the temporary one. (numba's own index
tells processors apart, so that nodes of several kinds may share a folder.)
"""

from __future__ import annotations

import os
import stat
import tempfile

__all__ = ["ensure_kernel_cache"]


def ensure_kernel_cache() -> None:
    """Set ``NUMBA_CACHE_DIR``, for this process and those it starts, where numba would find no place."""
    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    package = os.path.dirname(os.path.abspath(__file__))
    beside = [os.path.join(package, folder, "__pycache__") for folder in ("ops", "blocks")]
    home = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "numba")
    if all(map(_writable, beside)) or _writable(home):
        return
    os.environ["NUMBA_CACHE_DIR"] = _own_folder()


def _writable(folder: str) -> bool:
    """Whether a folder can be written, or made."""
    while not os.path.exists(folder):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return os.access(folder, os.W_OK | os.X_OK)


def _own_folder() -> str:
    """A folder that nobody else can write: what lies in it is run as code."""
    folder = os.path.join(tempfile.gettempdir(), f"chunkwise-kernels-{os.getuid()}")
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        status = os.lstat(folder)
        private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
        if not private:
            return tempfile.mkdtemp(prefix="chunkwise-kernels-")
    return folder
