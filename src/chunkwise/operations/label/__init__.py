"""Label images: objects are made of masks, grow, shrink, are chosen and renumbered; and masks are made of them."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="label",
    title="Change labels",
    line="grow, shrink, split, join, select, renumber or outline objects",
    summary="grow, shrink, split or join objects, keep some of them by size or place, renumber or outline them",
    about="""\
Change the objects of a label image: grow or shrink them, keep those of some sizes, the largest, or those off the
border, join or renumber them, or make a mask or outlines of them; or number the objects of a mask, and cut those apart
that touch.

The labels are read in place, block by block, and the result is the same as on the whole image. Every time point is
processed on its own. An object is all voxels of one number, 0 is the background, and objects keep their numbers unless
they are renumbered.

  chunkwise label nuclei.ome.zarr --method expand --distance 5 --output cells.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    made="labels",
    part_group="which part of the labels",
    usual="expand",
)
