"""Maximum along an axis."""

from chunkwise.operations.project._axis import projection, same

OPERATION = projection(
    "max",
    "Maximum projection",
    "takes the brightest value at every place; suits bright spots and threads on a dark background",
    same,
    "biuf",
)
