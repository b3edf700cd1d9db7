"""A piece of a store as a dataset of its own."""

from chunkwise.operations._part import FORMATS, FORMATS_ARE, PIECE
from chunkwise.operations.model import Family, Image, Operation

__all__ = ["FAMILY", "OPERATION"]

FAMILY = Family(
    name="fetch",
    title="Fetch a piece",
    summary="copy a piece of a store into a separate dataset",
    about="""\
Copy a piece of a stored image or label image into a separate dataset.

A level, channels, time points and a region become an OME-Zarr (0.5, sharded, with its own pyramid; .ozx: in one zip
file), an OME-TIFF with a pyramid, a TIFF for ImageJ, or the PNG of a plane, so that any other program can use it.
Voxels are copied unchanged; scale, units, channel names and the position of the piece in the whole image are kept where
the format has a place for them.

  chunkwise fetch embryo.ome.zarr --output piece.ome.zarr --channel GFP --region 0:32,512:1024,512:1024
  chunkwise fetch embryo.ome.zarr --output overview.ome.tiff --level 3
  chunkwise fetch embryo.ome.zarr --output middle.png --channel GFP --region 16:17,:,:
""",
    edam="operation_3443",
)

OPERATION = Operation(
    name="fetch",
    family="fetch",
    title="Fetch",
    does="copies a piece of an image or label image",
    takes={"image": Image("biuf")},
    gives=Image(
        dtype="same",
        metavar="PIECE.ome.zarr|.ozx|.ome.tiff|.tiff|.png",
        label="dataset",
        formats=FORMATS,
        help=FORMATS_ARE,
    ),
    part=PIECE,
    chain="chunkwise.running.chains.fetch:run",
)
