"""The small files beside the records: the tables of blocks and the manifests in crates and run directories."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chunkwise.errors import InputError
from chunkwise.files import UNREADABLE_ZIP, is_zip, open_zip, read_file
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.location import Location
from chunkwise.storage.manifest import Manifest

__all__ = [
    "UNREADABLE",
    "attachments_of",
    "check_crate",
    "check_inside",
    "holds_records",
    "is_crate_folder",
    "joined",
    "manifests_in",
    "read_manifest",
]

#: What a zip file raises that is damaged, or made to do harm.
UNREADABLE: Final = (OSError, *UNREADABLE_ZIP)

METADATA_FILE: Final = "ro-crate-metadata.json"
#: Bytes of the files of a crate that are read, one or all attachments together; a million blocks are a tenth of it.
_LARGEST: Final = 2**29
_ATTACHMENT = re.compile(r"(?:blocks|manifest)-[A-Za-z0-9-]{1,40}\.tsv\.gz")
_MANIFEST = re.compile(r"manifest-[A-Za-z0-9-]{1,40}\.tsv\.gz")


def is_crate_folder(file: Path | str) -> bool:
    """Whether a folder is an unpacked crate, and no store that has an ``ro-crate-metadata.json`` of its own."""
    file = Path(file)
    return (file / METADATA_FILE).is_file() and (file / "records").is_dir()


def holds_records(file: Path | str) -> bool:
    """Whether a file or folder is a crate of run records, and none of another program's."""
    if not (is_crate_folder(file) or is_zip(file)):
        return False
    with _opened(file) as (names, _):
        return any(name.startswith("records/") for name in names)


def attachments_of(file: Path | str) -> dict[str, bytes]:
    """Return the tables of blocks and the manifests that lie in a crate; nothing of whatever is no crate.

    Raises
    ------
    InputError
        If they cannot be read, or are absurdly large.
    """
    if not (is_crate_folder(file) or is_zip(file)):
        return {}
    found: dict[str, bytes] = {}
    left = _LARGEST
    with _opened(file) as (names, read):
        for name in filter(_ATTACHMENT.fullmatch, names):
            found[name] = read(name)
            left -= len(found[name])
            if left < 0:
                raise InputError(f"The tables and manifests in {file} are too large.")
    return found


def joined(several: Iterable[Mapping[str, bytes]]) -> dict[str, bytes]:
    """Put attachments of several crates together: what is the same once, what only has the same name under two."""
    found: dict[str, bytes] = {}
    for attachments in several:
        for name, content in attachments.items():
            if found.get(name, content) != content:
                stem, end = name.split(".", 1)
                name = f"{stem}-{hashlib.sha256(content).hexdigest()[:8]}.{end}"
            found[name] = content
    return found


def manifests_in(file: Path | str) -> list[Manifest]:
    """Read the manifests that lie in a crate.

    Raises
    ------
    InputError
        If one is damaged.
    """
    return [
        Manifest.from_bytes(content, f"{name} in {file}")
        for name, content in attachments_of(file).items()
        if _MANIFEST.fullmatch(name)
    ]


def read_manifest(path: Path | str) -> Manifest | None:
    """Read the file of a manifest; None where there is no such file.

    Raises
    ------
    InputError
        If it is no manifest, or cannot be read.
    """
    try:
        content = read_file(path, largest=_LARGEST)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    return Manifest.from_bytes(content, str(path))


def check_crate(file: Path | str) -> None:
    """Hold the files of a crate to the sha256 that its metadata say of them.

    Raises
    ------
    InputError
        If it is no crate, or one of its files was changed afterwards.
    """
    with _opened(file) as (names, read):
        if METADATA_FILE not in names:
            raise InputError(f"{file} is not a crate: it has no {METADATA_FILE}.")
        try:
            graph = parse_json(read(METADATA_FILE))["@graph"]
            digests = {str(entity["@id"]): str(entity["sha256"]) for entity in graph if "sha256" in entity}
        except (ValueError, KeyError, TypeError, RecursionError):
            raise InputError(f"The metadata of {file} are not those of a crate.") from None
        if len(set(names)) < len(names) or any(name.startswith("records/") and name not in digests for name in names):
            raise InputError(f"{file} holds files that its metadata do not describe, so it was changed by hand.")
        for name in names:
            if name in digests and hashlib.sha256(read(name)).hexdigest() != digests[name]:
                raise InputError(
                    f"{name} in {file} is not the file that the crate describes: it was changed after the crate was "
                    "made, so nothing in it can be relied on."
                )


def check_inside(path: Path, folder: Path) -> Path:
    """Return the path of a file of an unpacked crate.

    Raises
    ------
    InputError
        If a symbolic link leads out of the folder: what lies elsewhere is nothing that the crate came with.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} is a symbolic link that leads out of the crate, so it is not read.")
    return path


@contextmanager
def _opened(file: Path | str) -> Iterator[tuple[Sequence[str], Callable[[str], bytes]]]:
    """Open a crate, a zip file or a folder: the names of its files, sorted, and what reads one."""
    file = Path(file)
    try:
        if file.is_dir():
            names = [path.relative_to(file).as_posix() for path in file.rglob("*") if path.is_file()]

            inside = os.path.realpath(file)
            allows = Location(inside, None, inside).allows

            def read_one(name: str) -> bytes:
                return read_file(check_inside(file / name, file), allows, largest=_LARGEST)

            yield sorted(names), read_one
            return
        with open_zip(file) as archive:

            def read(name: str) -> bytes:
                if archive.getinfo(name).file_size > _LARGEST:
                    raise InputError(f"{name} in {file} is too large.")
                return archive.read(name)

            yield sorted(archive.namelist()), read
    except UNREADABLE as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
