"""Numbers and units as people read them: few digits, and the unit's symbol."""

from __future__ import annotations

import contextlib
from math import isfinite

import numpy as np

from chunkwise.ngff.units import short_unit

__all__ = ["number_text", "unit_text"]

_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def number_text(value: object) -> str:
    """Write a number with four significant digits; whole numbers have all of theirs."""
    if isinstance(value, int | np.integer):
        return str(value)
    number = float(str(value))
    if not isfinite(number):
        return "none" if number != number else str(number)
    if number == 0 or 1e-3 <= abs(number) < 1e7:
        digits = max(4, len(str(int(abs(number)))))
        return np.format_float_positional(number, digits, unique=False, fractional=False, trim="-")
    return f"{number:.3e}"


def unit_text(unit: str) -> str:
    """Write a unit of the table's columns by its symbol: ``micrometer^2`` is ``µm²``, and ``1`` is nothing."""
    if unit == "1":
        return ""
    name, _, power = unit.partition("^")
    with contextlib.suppress(ValueError):
        name = short_unit(name)
    return name + power.translate(_RAISED)
