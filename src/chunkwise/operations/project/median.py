"""Median along an axis."""

from chunkwise.operations.project._axis import fraction, projection

OPERATION = projection(
    "median",
    "Median projection",
    "takes the middle value, which ignores what is there only briefly or in few planes",
    fraction,
    working_set=2.0,
)
