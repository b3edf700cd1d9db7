"""The archive of Galaxy's export: read, never unpacked, and not trusted."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from chunkwise.errors import InputError
from chunkwise.files import open_zip
from chunkwise.provenance.attachments import UNREADABLE
from chunkwise.provenance.fields import Json, json_object
from chunkwise.storage.json_text import parse_json

__all__ = ["LARGEST", "Archive", "open_archive"]

#: Bytes of one file that is read into memory, after unpacking.
LARGEST: Final = 64 * 2**20

_MOST_FILES: Final = 200_000


class Archive:
    """A zip file whose names and sizes were checked; what is wrong in it is said with its path."""

    def __init__(self, path: Path, content: zipfile.ZipFile) -> None:
        self.path = path
        self._content = content
        entries = content.infolist()
        if len(entries) > _MOST_FILES:
            raise InputError(f"{path} holds more than {_MOST_FILES} files, so it is not read.")
        for entry in entries:
            parts = PurePosixPath(entry.filename.replace("\\", "/"))
            if parts.is_absolute() or ".." in parts.parts:
                raise InputError(
                    f"{path} contains a file whose path leads out of it ('{entry.filename[:60]}'), so it is not read."
                )
        self.entries = {entry.filename: entry for entry in entries if not entry.is_dir()}

    def content(self, name: str) -> bytes:
        """Return a file; zipfile reads no more bytes than the archive says it has."""
        if self.entries[name].file_size > LARGEST:
            raise InputError(f"The {name} of {self.path} unpacks to more than {LARGEST // 2**20} MiB: it is not read.")
        return self._content.read(self.entries[name])

    def json(self, name: str) -> Json:
        """Return what a file says in JSON."""
        if name not in self.entries:
            raise InputError(f"{self.path} lacks its {name}; export the invocation again.")
        try:
            return parse_json(self.content(name), finite=True)
        except ValueError:
            raise InputError(f"The {name} of {self.path} is not JSON.") from None

    def objects(self, name: str, what: str) -> list[dict[str, Json]]:
        """Return a list of objects; an empty one where there is no such file."""
        if name not in self.entries:
            return []
        content = self.json(name)
        if not isinstance(content, list):
            raise InputError(f"The {name} of {self.path} is not a list.")
        return [json_object(entry, what) for entry in content]


@contextmanager
def open_archive(path: Path) -> Iterator[Archive]:
    """Open an archive; whatever goes wrong with it as a file is an InputError of one sentence."""
    try:
        with open_zip(path) as content:
            yield Archive(path, content)
    except FileNotFoundError:
        raise InputError(
            f"There is no file {path}; give the RO-Crate that Galaxy exported for an invocation."
        ) from None
    except RecursionError:
        raise InputError(f"{path} is nested too deeply to be a Galaxy export.") from None
    except (PermissionError, IsADirectoryError) as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from None
    except UNREADABLE:
        raise InputError(f"{path} is not a zip file that can be read; export the invocation again.") from None
