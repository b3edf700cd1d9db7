"""Sum along an axis."""

from __future__ import annotations

from chunkwise.operations.project._axis import projection, total

OPERATION = projection(
    "sum",
    "Sum projection",
    "adds up; of integers in 64 bits, so that nothing overflows",
    total,
    gives={"contrast": "new"},
)
