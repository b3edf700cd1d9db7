"""Thresholds: every voxel becomes true or false."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="threshold",
    title="Threshold an image",
    line="by Otsu, Li and others, by the neighbourhood, or by a number",
    summary="make a mask of what is brighter than a threshold: of the volume, of the neighbourhood, or a number",
    about="""\
Make a mask of an image: true where a voxel is brighter than a threshold, otherwise false.

The image is read in place, block by block, and the result is the same as on the whole image. Every
channel and every time point is a separate volume. The result is an image (OME-Zarr 0.5) of type bool;
with multi-otsu, it is a label image with the number of each voxel's class.

  chunkwise threshold page.ome.zarr --method local --size 35 --offset 10 --output mask.ome.zarr

Give the mask to 'chunkwise segment' with --sigma 0 to number its objects, also for viewers that do not show
bool, such as Neuroglancer.

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    made="mask",
    usual="otsu",
)
