"""Strict reading of JSON objects that others may have written: every surprise is one sentence."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from chunkwise.errors import InputError

__all__ = [
    "Json",
    "check_time",
    "json_list",
    "json_object",
    "json_text",
    "optional_object",
    "optional_size",
    "optional_text",
    "plain",
]

Json = Any
"""A JSON value: None, bool, int, finite float, str, or a list or string-keyed dict of such."""

_DEPTH = 20
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,6})?(Z|[+-]\d{2}:\d{2})")


def plain(value: Json, where: str, depth: int = 0) -> Any:
    """Turn tuples into lists and NumPy's numbers into Python's, so that JSON can say them.

    Raises
    ------
    InputError
        If JSON cannot say the value (an infinite number, an object), or it is nested absurdly deep.
    """
    if depth > _DEPTH:
        raise InputError(f"The run record is nested too deeply in '{where[:40]}'.")
    if hasattr(value, "item") and hasattr(value, "dtype"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        raise InputError(f"The run record cannot hold the number {value} in '{where}'.")
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{where}.{key}", depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, where, depth + 1) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise InputError(f"The run record cannot hold a {type(value).__name__} in '{where}'.")


def json_object(
    content: object,
    what: str,
    *,
    required: Sequence[str] = (),
    known: set[str] | None = None,
) -> dict[str, Json]:
    """Return ``content`` as an object that has the required keys and, where ``known`` is given, no others."""
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        raise InputError(f"{what} is not a JSON object.")
    missing = [key for key in required if key not in content]
    if missing:
        raise InputError(f"{what} lacks the key '{missing[0]}'.")
    unknown = sorted(set(content) - known) if known is not None else []
    if unknown:
        raise InputError(f"{what} has the unknown key '{unknown[0][:40]}'.")
    checked: dict[str, Json] = plain(content, what)
    return checked


def json_text(content: Mapping[str, Json], key: str, what: str) -> str:
    """Return the text under a key; it may not be missing or empty."""
    value = content.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(f"{what} has no text in '{key}'.")
    return value


def optional_text(content: Mapping[str, Json], key: str, what: str) -> str | None:
    """Return the text under a key, or None where it is missing."""
    return None if content.get(key) is None else json_text(content, key, what)


def optional_object(content: Mapping[str, Json], key: str, what: str) -> dict[str, Json] | None:
    """Return the object under a key, or None where it is missing."""
    return None if content.get(key) is None else json_object(content[key], f"{what}, {key},")


def optional_size(content: Mapping[str, Json], key: str, what: str) -> int | None:
    """Return the whole number of bytes under a key, or None where it is missing."""
    value = content.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise InputError(f"{what} has '{key}' {value!r}, which has to be a whole number of bytes.")
    return value


def json_list(content: Mapping[str, Json], key: str, what: str) -> list[Json]:
    """Return the list under a key, empty where it is missing."""
    value = content.get(key, [])
    if not isinstance(value, list):
        raise InputError(f"{what} has no list in '{key}'.")
    return value


def check_time(text: str, what: str) -> None:
    """Refuse what is not an ISO 8601 time with a time zone."""
    try:
        # The first and the last day there are cannot be said in every zone.
        valid = _TIME.fullmatch(text) is not None and datetime.fromisoformat(text).astimezone(UTC) is not None
    except (ValueError, OverflowError):
        valid = False
    if not valid:
        raise InputError(f"{what} has the time '{text[:40]}', which has to be ISO 8601 with a time zone.")
