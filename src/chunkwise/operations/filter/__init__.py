"""Filters: every voxel becomes something of its neighbourhood."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="filter",
    title="Filter an image",
    line="to smooth it, or to show edges or spots",
    summary="smooth an image, show its edges or spots, or take the median or another rank of every neighbourhood",
    about="""\
Filter an image: every voxel is computed from its neighbourhood.

The image is read in place, block by block, and the result is the same as on the whole image. Every
channel and every time point is a separate volume. The result is an image (OME-Zarr 0.5) of the same type;
methods whose results may be negative or fractional give floats.

  chunkwise filter embryo.ome.zarr --method median --size 5 --output quiet.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    usual="gaussian",
)
