"""Copying files that lie beside an image as they are, and comparing the copies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.errors import InputError, PolicyError
from chunkwise.files import read_file
from chunkwise.ngff.beside import within
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location
from chunkwise.storage.objects import is_about
from chunkwise.storage.writer import json_bytes, put_object

__all__ = ["check_files", "copy_files"]

#: Where workers find the keys: there may be as many as a table has chunks.
LISTING = "scratch/files.json"


@dataclass(frozen=True)
class _FilesPass:
    source: Location
    run: Run


def copy_files(source: Location, keys: Sequence[str], job: Job) -> list[str]:
    """Copy files into the run's store.

    Parameters
    ----------
    source : Location
        Of the store in which they lie; out of it nothing is read, whatever the policy allows.
    keys : sequence of str
        Plain paths.
    job : Job
        Where the work is done, and what is done already.

    Returns
    -------
    list of str
        Sentences about those that cannot be read, and are not there now.
    """
    put_object(job.run.folder, LISTING, json_bytes(list(keys)))
    found = map_pass(job, "files", _copy, _FilesPass(within(source), job.run), len(keys))
    return [found[number] for number in sorted(found)]


def check_files(source: Location, count: int, job: Job) -> None:
    """Read the files and their copies once more, and compare them.

    Raises
    ------
    InputError
        With the name of one that differs.
    """
    found = map_pass(job, "check-files", _compare, _FilesPass(within(source), job.run), count)
    if found:
        raise InputError(
            f"The copy of {source.address}/{found[min(found)]} is not equal to it; {len(found)} of {count} files "
            "differ, and nothing of the result is kept: give the same command again to start over."
        )


def _copy(work: _FilesPass, number: int) -> BlockResult:
    key = _keys(work.run)[number]
    content = _content(work.source, key)
    if not isinstance(content, bytes):
        return content
    written = put_object(work.run.store, key, content)
    return BlockResult(() if is_about(key) else (written,))  # fingerprints leave out what only speaks about a store


def _content(source: Location, key: str) -> bytes | BlockResult:
    """The bytes of a file, or what there is to say in their place."""
    try:
        content = read_key(source, key)
    except (InputError, PolicyError) as error:
        return BlockResult(data=str(error))
    return BlockResult(data=f"{key} was removed while the store was read.") if content is None else content


def _compare(work: _FilesPass, number: int) -> BlockResult:
    key = _keys(work.run)[number]
    content = _content(work.source, key)
    if not isinstance(content, bytes):  # one that is not there, of which copying told
        return BlockResult()
    copy = read_key(within(work.run.store), key)
    return BlockResult(data=None if copy == content else key)


def _keys(run: Run) -> list[str]:
    return _listed(run.path(LISTING), run.hash)


@lru_cache(maxsize=2)
def _listed(path: str, _: str) -> list[str]:
    return list(json.loads(read_file(path)))
