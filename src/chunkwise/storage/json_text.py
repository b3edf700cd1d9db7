"""Reading JSON that anybody may have written."""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["parse_json"]


def parse_json(content: str | bytes, *, finite: bool = False) -> Any:
    """Parse JSON, and refuse what could be read here and never be written again.

    Parameters
    ----------
    content : str or bytes
        The text.
    finite : bool
        Whether NaN, Infinity and numbers too large for a float are refused, too.

    Raises
    ------
    ValueError
        If it is not JSON, has half a surrogate pair in a text, or a number that it may not have.
    RecursionError
        If it is nested absurdly deep.
    """
    parsed = json.loads(content, parse_int=_finite if finite else None)
    json.dumps(parsed, ensure_ascii=False, allow_nan=not finite).encode()
    return parsed


def _finite(text: str) -> int:
    """Read a whole number; one that no float can hold fails where somebody divides it."""
    number = int(text)
    if abs(number) > sys.float_info.max:
        raise ValueError("a number is too large")
    return number
