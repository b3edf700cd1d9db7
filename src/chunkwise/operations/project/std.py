"""Standard deviation along an axis."""

from chunkwise.operations.project._axis import fraction, projection

OPERATION = projection(
    "std",
    "Standard deviation projection",
    "shows where planes or time points differ",
    fraction,
    working_set=16.0,
    gives={"contrast": "new"},
)
