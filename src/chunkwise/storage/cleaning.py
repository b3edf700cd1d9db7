"""What lies in a workspace, how old it is, who needs it; and how something is taken away safely.

Links are never followed, and a run that is at work is never touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from chunkwise.errors import InputError
from chunkwise.files import open_file
from chunkwise.storage.workspace import LOCK, RUNS

__all__ = ["Item", "Needed", "find_items", "is_at_work", "remove_item"]

#: A folder with one of these is a store, and is not looked into further.
_STORE_MARKS = ("zarr.json", ".zgroup", ".zarray", ".zattrs")
#: No reference and no run record is larger.
_LARGEST = 64 * 2**20
#: What is being removed lies under such a name first, so that no half of it is seen under its own.
_REMOVING = "removing-"
#: As storage.workspace.user_folder makes them.
_USER_FOLDER = re.compile(r"user-[0-9a-f]{20}")


@dataclass(frozen=True)
class Item:
    """Something in the workspace that can be removed as a whole."""

    path: str
    """Below the workspace's root, with ``/``."""
    kind: str
    """``store``, or ``run`` for what an unfinished run left."""
    size: int
    """Bytes of its files."""
    changed: float
    """When the newest of its files was written, in seconds since 1970."""


def find_items(root: str, layout: str, spared: Iterable[str] = ()) -> Iterator[Item]:
    """List the stores of a workspace and what unfinished runs left in it, by path.

    Parameters
    ----------
    root : str
        Folder of the workspace.
    layout : str
        As the site file says; with folders for users, only those are looked into.
    spared : iterable of str
        Folders that are not looked into, such as other roots inside.

    Raises
    ------
    OSError
        If a folder cannot be read.
    """
    spared = set(spared)
    pending = [""]
    while pending:
        inner = pending.pop()
        folders = [entry for entry in os.scandir(os.path.join(root, inner)) if entry.is_dir(follow_symlinks=False)]
        for entry in sorted(folders, key=lambda entry: entry.name, reverse=True):
            path = f"{inner}/{entry.name}".lstrip("/")
            if entry.path in spared or (not inner and layout != "flat" and not _is_results(entry.name)):
                continue
            kind = _kind(entry.path, path)
            if kind is None:
                pending.append(path)
            else:
                yield _item(entry.path, path, kind)


def _is_results(name: str) -> bool:
    return name == RUNS or _USER_FOLDER.fullmatch(name) is not None


def _kind(folder: str, path: str) -> str | None:
    """Say what a folder is; None where it is one that items lie in."""
    parts = path.split("/")
    if parts[0] == RUNS:
        return "run" if len(parts) == 3 or parts[-1].startswith(_REMOVING) else None
    if path.endswith(".partial"):
        return "run"
    if path.endswith(".run") and (os.path.exists(f"{folder}/plan.json") or os.path.isdir(f"{folder}/journal")):
        return "run"
    return "store" if any(os.path.lexists(f"{folder}/{mark}") for mark in _STORE_MARKS) else None


def _item(folder: str, path: str, kind: str) -> Item:
    size, changed = 0, os.lstat(folder).st_mtime
    for top, folders, files in os.walk(folder):
        for name in (*folders, *files):
            with suppress(FileNotFoundError):
                status = os.lstat(os.path.join(top, name))
                changed = max(changed, status.st_mtime)
                size += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return Item(path, kind, size, changed)


class Needed:
    """Which places the references and run records in some folders name.

    Parameters
    ----------
    folders : iterable of str
        Searched with all that is below them; only small JSON files are read.
    roots : mapping of str to str
        The site's roots that are folders, by name.

    Raises
    ------
    InputError
        If something cannot be read: then it is not known what is needed.
    """

    def __init__(self, folders: Iterable[str], roots: Mapping[str, str]) -> None:
        self._places: set[str] = set()
        self.documents = 0
        for top in folders:
            try:
                for folder, _, files in os.walk(top, onerror=_raise):
                    for name in files:
                        content = _read_json(os.path.join(folder, name))
                        if content is not None:
                            self.documents += 1
                            self._places |= set(_places(content, roots))
            except OSError as error:
                raise InputError(
                    f"{error.filename} cannot be read ({os.strerror(error.errno or 0)}), so it is not known which "
                    "results are needed; nothing was removed."
                ) from None
        self._around = {parent for place in self._places for parent in _parents(place)}

    def __contains__(self, folder: str) -> bool:
        """Whether a place that is named is this folder, lies inside it, or is a folder around it."""
        return folder in self._around or not self._places.isdisjoint(_parents(folder))


def _raise(error: OSError) -> None:
    raise error


def _parents(path: str) -> Iterator[str]:
    """Give a path and the folders around it."""
    while path not in ("/", ""):
        yield path
        path = os.path.dirname(path)


def _read_json(path: str) -> Any:
    """Read a reference or a run record; None where the file is neither."""
    try:
        status = os.lstat(path)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
            return None
        with open_file(path) as file:
            start = file.read(512)
            if not start.lstrip().startswith((b"{", b"[")):
                return None
            content = start + file.read()
    except (FileNotFoundError, InputError):
        return None
    try:
        return json.loads(content) if b'"chunkwise_' in content else None
    except (ValueError, RecursionError):
        return None


def _places(content: Any, roots: Mapping[str, str]) -> Iterator[str]:
    """Every place that a JSON document names, however deep, by a root and a path or by a path alone."""
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(value)
        if not isinstance(value, dict):
            continue
        pending.extend(value.values())
        for key in ("path", "location"):
            place, root = value.get(key), value.get("root", "")
            if isinstance(place, str) and isinstance(root, str):
                joined = os.path.join(roots[root], place.lstrip("/")) if root in roots else place
                if os.path.isabs(joined):
                    yield os.path.normpath(joined)


@contextmanager
def _held(root: str, item: Item) -> Iterator[str | None]:
    """Hold a run's lock, so that none begins on what is removed; gives the lock's path, None where one is at work."""
    path = os.path.join(root, item.path)
    if item.path.startswith(f"{RUNS}/"):
        lock = os.path.join(path, LOCK)
    else:
        lock = f"{path.removesuffix('.run').removesuffix('.partial')}.partial.lock"
    try:
        handle = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield lock
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield lock
    finally:
        os.close(handle)


def is_at_work(root: str, item: Item) -> bool:
    """Whether a run holds the item."""
    if item.kind != "run":
        return False
    with _held(root, item) as lock:
        return lock is None


def remove_item(root: str, item: Item) -> bool:
    """Remove an item; its name goes first, so that no half of it is ever seen.

    Parameters
    ----------
    root : str
        Folder of the workspace.
    item : Item
        As :func:`find_items` gives it.

    Returns
    -------
    bool
        False where a run is at work on it.

    Raises
    ------
    OSError
        If it cannot be removed, or was replaced by a link in the meantime.
    """
    if item.kind != "run":
        _remove(root, item.path)
        return True
    with _held(root, item) as lock:
        if lock is None:
            return False
        _remove(root, item.path)
        with suppress(OSError):
            os.unlink(lock)
    return True


def _remove(root: str, path: str) -> None:
    *folders, name = path.split("/")
    with suppress(FileExistsError):
        os.mkdir(os.path.join(root, RUNS))
    away = f"{_REMOVING}{secrets.token_hex(6)}"
    # Folder by folder, none of them a link: whoever may write here must not lead us elsewhere.
    source, target = _open_folder(root, folders), _open_folder(root, [RUNS])
    try:
        os.rename(name, away, src_dir_fd=source, dst_dir_fd=target)
        shutil.rmtree(away, dir_fd=target)
    finally:
        os.close(source)
        os.close(target)
    while folders and folders != [RUNS]:
        try:
            os.rmdir(os.path.join(root, *folders))
        except OSError:
            return
        folders.pop()


def _open_folder(root: str, folders: list[str]) -> int:
    handle = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    for folder in folders:
        try:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        finally:
            os.close(handle)
        handle = inner
    return handle
