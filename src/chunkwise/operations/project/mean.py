"""Mean along an axis."""

from chunkwise.operations.project._axis import fraction, projection

OPERATION = projection(
    "mean",
    "Mean projection",
    "averages, which removes noise; comparable between stacks of unlike depth",
    fraction,
)
