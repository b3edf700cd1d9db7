"""What a record says of a small output file that lies on this machine."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from chunkwise.errors import InputError
from chunkwise.files import open_file

__all__ = ["describe_file"]


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
