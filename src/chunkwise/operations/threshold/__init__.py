"""Thresholds: every voxel becomes true or false."""

from __future__ import annotations

from chunkwise.operations.model import Family

FAMILY = Family(
    name="threshold",
    title="Threshold an image",
    summary="make a mask: what is brighter than a threshold of the volume, of its neighbourhood, or a number",
    about="""\
Make a mask of an image: true where a voxel is brighter than a threshold, else false.

The image is read where it lies, block by block, and the result is the same as on the whole image. Every
channel and every time point is a volume of its own. The result is an image (OME-Zarr 0.5) of the type bool.

  chunkwise threshold page.ome.zarr --method local --size 35 --offset 10 --output mask.ome.zarr

Give the mask to 'chunkwise segment' with --sigma 0 to number its objects, also for viewers that show no
bool, such as Neuroglancer.

A run that was stopped goes on where it stopped when the same command is given again.
""",
    edam="operation_3443",
    usual="otsu",
)
