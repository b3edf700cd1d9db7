"""Small objects of a store, read by key: metadata documents, local or remote."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import unquote, urlsplit

from chunkwise.errors import InputError
from chunkwise.storage.location import Location

__all__ = ["kvstore_spec", "read_key"]


def kvstore_spec(location: Location) -> dict[str, Any]:
    """Describe a location as a tensorstore key-value store."""
    if not location.is_url:
        return {"driver": "file", "path": location.address.rstrip("/") + "/"}
    parts = urlsplit(location.address)
    if parts.scheme == "s3":
        return {"driver": "s3", "bucket": parts.netloc, "path": unquote(parts.path).strip("/") + "/"}
    return {"driver": "http", "base_url": location.address.rstrip("/") + "/"}


def read_key(location: Location, key: str) -> bytes | None:
    """Read one object below a location; None where there is no such object.

    Raises
    ------
    InputError
        If the object exists and cannot be read.
    PolicyError
        If the key leads out of what the policy allows.
    """
    if not location.is_url:
        path = location.child(key).address
        try:
            with open(path, "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None
        except OSError as error:
            raise InputError(f"{path} cannot be read: {os.strerror(error.errno or 0)}.") from None
    import tensorstore as ts

    location.child(key)
    try:
        result = ts.KvStore.open(kvstore_spec(location)).result().read(key).result()
    except (ValueError, OSError) as error:
        raise InputError(f"{location.address}/{key} cannot be read: {str(error).split(' [')[0]}") from None
    return bytes(result.value) if result.state == "value" else None
