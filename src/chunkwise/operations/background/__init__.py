"""Background: what is wide, and lies under what is of interest, is taken away."""

from chunkwise.operations.model import Family

FAMILY = Family(
    name="background",
    title="Subtract the background",
    line="by a rolling ball, a top-hat or a Gaussian",
    summary="subtract the background by a rolling ball, a top-hat or a Gaussian",
    about="""\
Subtract the background: whatever is wider than the objects, such as uneven illumination or a glow.

The image is read in place, block by block, and the result is the same as on the whole image. Every
channel and every time point is a separate volume. The result is an image (OME-Zarr 0.5) of the same type.

  chunkwise background embryo.ome.zarr --method white-tophat --radius 20 --planes --output flat.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    made="corrected",
    group="background",
    usual="rolling-ball",
)
