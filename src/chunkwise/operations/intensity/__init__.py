"""Intensities: every voxel gets another value, or another type."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="intensity",
    title="Change intensities",
    line="rescale, clip, invert, gamma, CLAHE, voxel type",
    summary="rescale, clip, invert or equalise intensities, change them by gamma, or give voxels another type",
    about="""\
Change the intensity of every voxel: spread a range, clip, invert, gamma, equalise (CLAHE), or another type of voxel.

The image is read in place, block by block, and the result is the same as on the whole image. Every
channel and every time point is a separate volume. The result is an image (OME-Zarr 0.5). What does not fit into
its type becomes the type's smallest or largest value; nothing wraps around.

  chunkwise intensity embryo.ome.zarr --method rescale --high-percentile 99.8 --dtype uint8 --output bright.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    made="intensity",
    group="intensities",
    usual="rescale",
)
