"""What a record says of a small output file that lies on this machine."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chunkwise.errors import InputError
from chunkwise.files import open_file
from chunkwise.storage.fingerprint import ALGORITHM
from chunkwise.storage.location import Location
from chunkwise.storage.manifest import Manifest
from chunkwise.storage.objects import object_keys, read_objects

__all__ = ["describe_file", "describe_foreign"]


def describe_file(path: Path | str) -> dict[str, Any]:
    """Return size, time of change and a fingerprint of every byte; nothing for what is not there yet.

    An empty file counts as not there: Galaxy makes one for every output before the tool starts.
    """
    path = Path(path)
    try:
        if not path.is_file() or path.stat().st_size == 0:
            return {}
        with open_file(path) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        known = path.stat()
    except (OSError, InputError):
        return {}
    return {
        "size": known.st_size,
        "modified": datetime.fromtimestamp(known.st_mtime, UTC).isoformat(timespec="milliseconds"),
        "fingerprint": {"level": "full", "algorithm": "sha256", "value": digest},
    }


def describe_foreign(location: Location) -> dict[str, Any]:
    """Return the same of a file of another format; of several that are one image, the manifest's fingerprint."""
    assert location.foreign is not None
    files = object_keys(location)
    if location.foreign.path != location.foreign.folder and len(files) == 1:
        return describe_file(location.foreign.path)
    found = Manifest.of(read_objects(location, files))
    return {"size": found.size, "fingerprint": {"level": "full", "algorithm": ALGORITHM, "value": found.digest}}
