"""Filters: every voxel becomes something of its neighbourhood."""

from __future__ import annotations

from chunkwise.operations.model import Family

FAMILY = Family(
    name="filter",
    title="Filter an image",
    summary="smooth an image, or take the median, mean, minimum or maximum of every neighbourhood",
    about="""\
Filter an image: every voxel becomes something of its neighbourhood.

The image is read where it lies, block by block, and the result is the same as on the whole image. Every
channel and every time point is a volume of its own. The result is an image (OME-Zarr 0.5) of the same type.

  chunkwise filter embryo.ome.zarr --method median --size 5 --output quiet.ome.zarr

A run that was stopped goes on where it stopped when the same command is given again.
""",
    edam="operation_3443",
    usual="gaussian",
)
