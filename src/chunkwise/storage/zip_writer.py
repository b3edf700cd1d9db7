"""A finished store as one zip file, by the recommendations of RFC-9 of OME-Zarr.

Stored, because chunks are compressed already; in the form for large files (ZIP64); the root's ``zarr.json`` first, then
the others from the top downwards, then everything else; a comment that says so. No times, so that the same store gives
the same bytes.
"""

from __future__ import annotations

import json
import os
import posixpath
import shutil
import zipfile

from chunkwise.files import open_file
from chunkwise.storage.outputs import new_file, said_clearly, sweep_left

__all__ = ["write_zip"]

#: The first moment that a zip file can tell of.
NO_TIME = (1980, 1, 1, 0, 0, 0)

COMMENT = {"ome": {"version": "0.5", "zipFile": {"centralDirectory": {"jsonFirst": True}}}}

#: Bytes that are copied at a time.
PIECE = 2**20


def write_zip(folder: str, path: str) -> None:
    """Write a store that lies in a folder as a zip file, whole or not at all.

    One run at a time writes to a name: what one that was killed left beside it is removed.

    Raises
    ------
    InputError, PolicyError
        If somebody put something into the folder that is no plain file, or a link.
    ResumableError
        If the disk is full or fails; the folder stays as it is.
    """
    sweep_left(path)
    top = f"{os.path.realpath(folder)}{os.sep}"

    def is_inside(real: str) -> bool:
        return real.startswith(top)

    with new_file(path) as temporary, said_clearly(path), open(temporary, "wb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as packed:
            packed.comment = json.dumps(COMMENT, separators=(",", ":")).encode()
            for key in _in_order(folder):
                entry = zipfile.ZipInfo(key, NO_TIME)
                entry.create_system = 3
                entry.external_attr = 0o644 << 16
                inner = os.path.join(folder, key)
                # What is packed is packed by its bytes: nothing that a link leads to elsewhere.
                with open_file(inner, is_inside) as source, packed.open(entry, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, PIECE)
        file.flush()
        os.fsync(file.fileno())


def _in_order(folder: str) -> list[str]:
    keys = []
    for top, _, names in os.walk(folder):
        inner = os.path.relpath(top, folder).replace(os.sep, "/")
        keys += [posixpath.normpath(posixpath.join(inner, name)) for name in names]
    documents = [key for key in keys if posixpath.basename(key) == "zarr.json"]
    return sorted(documents, key=lambda key: (key.count("/"), key)) + sorted(set(keys).difference(documents))
