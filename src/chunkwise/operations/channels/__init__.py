"""Channels: colours become stains, grey or other axes of colour; channels are chosen, renamed, or put together."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="channels",
    title="Change channels",
    line="stains by colour deconvolution, grey, HSV, Lab; choose, reorder, rename, merge",
    summary="separate stains by colour, turn colours into grey, HSV or Lab; choose, reorder, rename or merge channels",
    about="""\
Separate the stains of a colour image, turn its colours into grey, HSV or Lab, choose, reorder and rename channels, or
put several images together as the channels of one.

The image is read in place, block by block, and the result is the same as on the whole image. A colour image has
red, green and blue as its channels, in this order; of other images, choose these three with --channel. Integers are
fractions of the largest value of their type, so that white is 255 in 8 bits; floats have to be from 0 to 1.

  chunkwise channels slide.ome.zarr --method deconvolve --stains hed --output stains.ome.zarr
  chunkwise channels embryo.ome.zarr --method choose --channel GFP --channel DAPI --names a,b --output two.ome.zarr
  chunkwise channels nuclei.tif --method merge --b actin.tif --names DNA,actin --output both.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    made="channels",
    group="channels",
    usual="deconvolve",
)
