"""Minimum along an axis."""

from chunkwise.operations.project._axis import projection, same

OPERATION = projection(
    "min",
    "Minimum projection",
    "takes the darkest value at every place",
    same,
    "biuf",
)
