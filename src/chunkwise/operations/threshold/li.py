"""The threshold of Li, of a whole volume."""

from chunkwise.operations.threshold._automatic import automatic

OPERATION = automatic(
    "li",
    "Li threshold",
    "minimises the cross entropy, which suits faint objects on a dark background",
    floats="rtol 1e-6",
)
