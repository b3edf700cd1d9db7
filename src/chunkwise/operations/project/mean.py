"""Mean along an axis."""

from __future__ import annotations

from chunkwise.operations.project._axis import fraction, projection

OPERATION = projection(
    "mean",
    "Mean projection",
    "averages, which removes noise; comparable between stacks of unlike depth",
    fraction,
)
