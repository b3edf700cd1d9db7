"""Minimum along an axis."""

from __future__ import annotations

from chunkwise.operations.project._axis import projection, same

OPERATION = projection(
    "min",
    "Minimum projection",
    "takes the darkest value at every place",
    same,
    "biuf",
)
