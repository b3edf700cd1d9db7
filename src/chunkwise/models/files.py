"""The files of a package, looked at before any library reads them: plain, not too large, their YAML what it seems."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Iterator

from chunkwise.errors import InputError
from chunkwise.files import check_size, hold, read_file
from chunkwise.storage.yaml_text import check_yaml

__all__ = ["DESCRIPTIONS", "check_files", "check_unpacked", "package_files"]

#: What the description of a package is called.
DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml")

#: In files that operating systems leave behind, and that are no part of a package.
NOT_PART = (".DS_Store", "Thumbs.db", "__MACOSX", "__pycache__")

#: Bytes of a description at most: people write them, and while it is read it takes some hundred times as many.
_LARGEST = 2**20


def package_files(path: str) -> Iterator[str]:
    """Name the files of a package.

    Raises
    ------
    InputError
        If a folder in it is a symbolic link: to some it is part of the package, and to others it is not.
    OSError
        If a folder cannot be listed.
    """

    def stop(error: OSError) -> None:
        raise error

    for top, folders, names in os.walk(path, onerror=stop):
        folders[:] = [folder for folder in folders if not folder.startswith(".") and folder not in NOT_PART]
        for folder in folders:
            if os.path.islink(os.path.join(top, folder)):
                raise InputError(f"{os.path.join(top, folder)} is a symbolic link to a folder; put the files there.")
        yield from (os.path.join(top, name) for name in names if name not in NOT_PART)


def check_files(path: str, largest: int | None = None) -> None:
    """Refuse a package whose files would never end, or take all memory.

    Parameters
    ----------
    path : str
        The folder.
    largest : int, optional
        Bytes of all files together at most.

    Raises
    ------
    InputError
        If a file is not a regular file, or too large, or the description stands for far more than it says.
    """
    size = 0
    try:
        for file in package_files(path):
            held = hold(file, what="file of a model")
            held.close()
            size += held.status.st_size
        if largest is not None:
            check_size(path, size, largest, "model package", "model")
        for name in DESCRIPTIONS:
            file = os.path.join(path, name)
            if os.path.lexists(file):
                check_yaml(read_file(file, largest=_LARGEST, what="description"))
    except OSError as error:
        raise InputError(f"The model package {path} cannot be read: {error}.") from None
    except ValueError as error:
        raise InputError(f"The description {file} cannot be read: {error}.") from None


def check_unpacked(archive: zipfile.ZipFile, source: str, largest: int) -> None:
    """Refuse a zip file with more in it than a package may have, or with something else than files.

    Raises
    ------
    InputError
        If it is so.
    """
    entries = archive.infolist()
    check_size(source, sum(entry.file_size for entry in entries), largest, "model package", "model")
    for entry in entries:
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise InputError(f"{source} holds {entry.filename}, which is not a regular file.")
