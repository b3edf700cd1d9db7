"""Projections: planes, time points or channels become one."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="project",
    title="Project an image",
    line="along z, t or c: maximum, mean, sum and others",
    summary="combine all planes, time points or channels into one: maximum, mean, sum and others",
    about="""\
Project an image along z, t or c: the maximum, minimum, mean, sum, median or standard deviation of all planes,
time points or channels, or which of them is the brightest.

The image is read in place, block by block, and the result is the same as on the whole image. The result is
an image (OME-Zarr 0.5) that has the length 1 along the axis.

  chunkwise project stack.ome.zarr --method max --output flat.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    made="projection",
    group="projection",
    usual="max",
)
