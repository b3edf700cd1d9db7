"""What operations take, as it was measured: ``rates.json``, which ``benchmarks/rates.py`` writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from chunkwise.operations.model import Operation

__all__ = ["measured_on", "rate_of"]


@cache
def _measured() -> dict[str, Any]:
    return dict(json.loads(files("chunkwise.running").joinpath("rates.json").read_text("utf-8")))


def measured_on() -> str:
    """The processor, in words."""
    return f"one core of {_measured()['processor']}, with default parameters"


def rate_of(operation: Operation, values: Mapping[str, Any]) -> float | None:
    """CPU-seconds that a million voxels take, or None where nothing was measured.

    Parameters
    ----------
    operation : Operation
        Of which one entry is looked for: one that states values counts for these alone, and the last that fits.
    values : mapping
        Of its parameters.
    """
    rate = None
    for one in _measured()["rates"]:
        if (one["family"], one["method"]) == (operation.family, operation.name) and all(
            values[name] == value for name, value in one["values"].items()
        ):
            rate = float(one["cpu_seconds_a_million_voxels"])
    return rate
