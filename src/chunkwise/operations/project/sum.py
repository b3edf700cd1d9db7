"""Sum along an axis."""

from chunkwise.operations.project._axis import projection, total

OPERATION = projection(
    "sum",
    "Sum projection",
    "adds up; of integers in 64 bits, so that nothing overflows",
    total,
    gives={"contrast": "new"},
)
