"""The checksum that the DANDI archive gives a Zarr: a tree of md5 sums.

It is equal to what ``zarrsum local PATH`` of the archive's own library prints. Unlike a fingerprint it covers every
file, those named ``ro-crate-*`` included.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import NamedTuple

from chunkwise.storage.objects import Seen

__all__ = ["DANDI", "dandi_checksum"]

#: What the checksum is called where several may stand.
DANDI = "dandi-zarr-checksum"


class _Member(NamedTuple):
    """A file or a folder in its folder."""

    name: str
    digest: str
    size: int
    files: int


def dandi_checksum(objects: Iterable[Seen]) -> str:
    """Combine the md5 sums of all objects of a store into ``MD5-COUNT--SIZE``.

    Parameters
    ----------
    objects : iterable of Seen
        Every object, read with ``md5``; in any order.
    """
    files: defaultdict[tuple[str, ...], list[_Member]] = defaultdict(list)
    folders: defaultdict[tuple[str, ...], list[_Member]] = defaultdict(list)
    known: set[tuple[str, ...]] = {()}
    for item in objects:
        *folder, name = PurePosixPath(item.key).parts
        files[tuple(folder)].append(_Member(name, item.md5 or "", item.size, 1))
        known.update(tuple(folder[:depth]) for depth in range(1, len(folder) + 1))
    for path in sorted(known, key=len, reverse=True):  # what is in a folder before the folder
        whole = _sum(path[-1] if path else "", sorted(folders.pop(path, [])), sorted(files.pop(path, [])))
        folders[path[:-1]].append(whole)
    return whole.digest


def _sum(name: str, folders: list[_Member], files: list[_Member]) -> _Member:
    """Sum up a folder. The order of the keys, and that there is no space, are part of what is hashed."""
    listed = {
        kind: [{"digest": member.digest, "name": member.name, "size": member.size} for member in members]
        for kind, members in (("directories", folders), ("files", files))
    }
    md5 = hashlib.md5(json.dumps(listed, separators=(",", ":")).encode(), usedforsecurity=False).hexdigest()
    members = (*folders, *files)
    count, size = sum(member.files for member in members), sum(member.size for member in members)
    return _Member(name, f"{md5}-{count}--{size}", size, count)
