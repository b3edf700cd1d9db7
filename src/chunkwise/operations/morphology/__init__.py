"""Morphology: shapes grow, shrink, close and open."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="morphology",
    title="Erode, dilate, open or close",
    line="what is bright in an image or true in a mask",
    summary="erode, dilate, open or close what is bright in an image or true in a mask, show its edges, or fill holes",
    about="""\
Erode, dilate, open or close an image or a mask, or show its edges, by a ball or a box; or fill the holes of a mask.

The image is read in place, block by block, and the result is the same as on the whole image. Every
channel and every time point is a separate volume. The result is an image (OME-Zarr 0.5) of the same type; of a
mask it is a mask. Voxels beyond the edge of the image do not count.

  chunkwise morphology mask.ome.zarr --method open --radius 3 --output clean.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    made="morphology",
    group="shape",
    usual="open",
)
