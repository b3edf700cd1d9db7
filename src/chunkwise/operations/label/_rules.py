"""Rules on a measured table: ``num_pixels >= 50 and eccentricity < 0.9``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from chunkwise.errors import InputError

__all__ = ["Comparison", "parse_rules"]

_COMPARISON: Final = re.compile(
    r"\s*(?P<column>[^<>=!\s](?:[^<>=!]*[^<>=!\s])?)\s*(?P<sign><=|>=|==|!=|<|>)\s*"
    r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*"
)


@dataclass(frozen=True)
class Comparison:
    """A column, a sign and a number."""

    column: str
    sign: str
    number: float
    """An integer where it was written as one."""


def parse_rules(texts: list[str]) -> list[Comparison]:
    """Read rules, each of one comparison or several with ``and`` between them.

    Raises
    ------
    InputError
        If one is anything else; it is named.
    """
    found = []
    for text in texts:
        for part in re.split(r"\s+and\s+", text):
            known = _COMPARISON.fullmatch(part)
            if known is None:
                raise InputError(
                    f"--rule '{text}' is not made of comparisons such as 'num_pixels >= 50': the name of a column, one "
                    "of < <= > >= == !=, and a number, with 'and' between several."
                )
            number = known["number"]
            whole = re.fullmatch(r"[+-]?\d+", number)
            found.append(Comparison(known["column"], known["sign"], int(number) if whole else float(number)))
    return found
