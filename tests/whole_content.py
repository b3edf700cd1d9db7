"""What the record says of a result's voxels, worked out of the whole array by plain numpy and Python."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from typing import Any

import numpy as np

__all__ = ["whole_content"]


def whole_content(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Add up an array as ``docs/reference.md`` says it."""
    raw = array.astype(array.dtype.newbyteorder("<")).view(f"<u{array.dtype.itemsize}")
    position_sum = (raw.astype("uint64").ravel() * np.arange(1, raw.size + 1, dtype="uint64")).sum()
    known: dict[str, Any] = {"voxels": array.size}
    finite = array[np.isfinite(array)].tolist()
    if finite:
        known |= {"minimum": min(finite), "maximum": max(finite)}
    with suppress(OverflowError):  # a sum beyond float64
        known["sum"] = float(sum(map(Fraction, finite))) if array.dtype.kind == "f" else sum(finite)
    known["position_sum"] = f"{int(position_sum):016x}"
    return known | ({"not_finite": array.size - len(finite)} if len(finite) < array.size else {})
