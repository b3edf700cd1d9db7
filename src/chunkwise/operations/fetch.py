"""A piece of a store as a dataset of its own."""

from __future__ import annotations

from dataclasses import replace

from chunkwise.operations._part import CHANNELS, LEVEL, REGION, TIME
from chunkwise.operations.model import Family, Image, Operation

__all__ = ["FAMILY", "OPERATION"]

FAMILY = Family(
    name="fetch",
    title="Fetch a piece",
    summary="cut a piece out of a store, as a dataset of its own",
    about="""\
Cut a piece out of a stored image or label image, as a dataset of its own.

A level, channels, time points and a region become an OME-Zarr (0.5, sharded, with its own pyramid; .ozx: in one zip
file) or an OME-TIFF, so that any other tool can follow. Voxels are copied as they are; scale, units, channel names and
the place of the piece in the whole go with them.

  chunkwise fetch embryo.ome.zarr --output piece.ome.zarr --channel GFP --region 0:32,512:1024,512:1024
  chunkwise fetch embryo.ome.zarr --output overview.ome.tiff --level 3
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
        metavar="PIECE.ome.zarr|.ozx|.ome.tiff",
        label="dataset",
        formats={"zarr": ".zarr", "ozx": ".ozx", "tiff": ".tiff"},
        help="of the dataset; ozx is an OME-Zarr in one zip file (default: by its name, else zarr)",
    ),
    part={
        "level": LEVEL,
        "channel": CHANNELS,
        "time": TIME,
        "region": replace(
            REGION, help="in voxels of the level, ends not included (for 2-D images: y0:y1,x0:x1)", default_words="all"
        ),
    },
    chain="chunkwise.running.chains.fetch:run",
    rate=0.011,
)
