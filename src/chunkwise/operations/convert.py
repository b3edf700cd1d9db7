"""A file of another format as an OME-Zarr, and the way back."""

from chunkwise.operations._part import FORMATS, FORMATS_ARE, PIECE
from chunkwise.operations.model import Family, Image, Operation, Parameter

__all__ = ["FAMILY", "OPERATION"]

FAMILY = Family(
    name="convert",
    title="Bring an image in",
    summary="write a TIFF, PNG or JPEG, or an older OME-Zarr, as a sharded OME-Zarr 0.5, or go the other way",
    about="""\
Write an image of another format as an OME-Zarr: 0.5, sharded, with a pyramid.

The file is read piece by piece, so that its size does not matter. Voxels stay as they are, and for less than 64 GiB
this is checked when all is written. Voxel sizes, units, the time step,
and names and colours of channels go with them; what the file does not say can be said here. TIFF (BigTIFF,
OME-TIFF in one file or several, ImageJ; tiles, strips and pyramids), folders of TIFFs, PNG and JPEG are read, and
OME-Zarr 0.4 and 0.5, which is written anew.

All that hangs on an OME-Zarr goes along: labels, tables, other files, attributes. Of a plate or a collection every
image is written, and of a list of stores (a CSV with the columns source and output) every store; the same command
goes on where it stopped.

What other programs read goes out the same way: an OME-Zarr becomes an OME-TIFF with a pyramid, a TIFF for ImageJ, or
the PNG of a plane, by the name of the result.

  chunkwise convert embryo.ome.tiff --output embryo.ome.zarr
  chunkwise convert stack.tif --output stack.ome.zarr --axes zyx --voxel-size 0.5,0.1,0.1
  chunkwise convert planes/ --pattern 'img_c{c}_t{t}_z{z}.tif' --output planes.ome.zarr
  chunkwise convert plate.ome.zarr --output new.ome.zarr
  chunkwise convert stores.csv --output written.tsv
  chunkwise convert nuclei.ome.zarr --to ome-tiff --output nuclei.ome.tiff
""",
    edam="operation_3434",
    group="what the file does not say",
)

OPERATION = Operation(
    name="convert",
    family="convert",
    title="Convert",
    does="writes an image of another format as an OME-Zarr, or an OME-Zarr as a TIFF or PNG",
    takes={
        "image": Image(
            "biuf",
            help="a TIFF, PNG or JPEG; with --pattern, a folder of TIFFs; path or URL of an OME-Zarr, also a plate or "
            "collection; a reference JSON; or a list of stores (.csv)",
        )
    },
    gives=Image(
        dtype="same",
        metavar="OUT.ome.zarr|.ozx|.ome.tiff|.tiff|.png",
        label="image",
        formats=FORMATS,
        help=FORMATS_ARE,
    ),
    parameters={
        "pattern": Parameter(
            str,
            None,
            "Names of the files",
            "how the TIFFs in a folder are named, with {c}, {t} and {z} where the channel, time point and plane stand, "
            "such as img_c{c}_t{t}_z{z}.tif; the folder, or any file in it, is given as the image",
            metavar="NAME",
            default_words="one file is given, and not a folder",
        ),
        "series": Parameter(
            int,
            None,
            "Image in the file",
            "which image, or scene, of a file that holds several; counted from 0",
            least=0,
            default_words="the only one",
        ),
        "axes": Parameter(
            str,
            None,
            "What the planes are",
            "what the axes of the file's array are, one letter for each: t, c, z, y, x, and s for samples such as red, "
            "green and blue",
            metavar="LETTERS",
            default_words="as the file says",
        ),
        "voxel_size": Parameter(
            str,
            None,
            "Voxel size",
            "size of a voxel along each spatial axis, such as 0.5,0.1,0.1 for z, y and x",
            metavar="z,y,x",
            default_words="as the file says; unknown if it does not",
        ),
        "unit": Parameter(
            str,
            "micrometer",
            "Unit of the voxel size",
            "unit of the voxel size",
            choices=("nanometer", "micrometer", "millimeter"),
        ),
        "name": Parameter(
            str,
            None,
            "Name of the image",
            "name of the image",
            metavar="NAME",
            default_words="as the file says, else the file's own name",
        ),
        "channel_name": Parameter(
            str,
            None,
            "Names of the channels",
            "name of a channel; given once for each, in their order",
            metavar="NAME",
            several=True,
            default_words="as the file says",
        ),
        "check": Parameter(
            str,
            None,
            "Compare every voxel",
            "when all is written, read source and result once more and compare every voxel",
            choices=("yes", "no"),
            default_words="yes for less than 64 GiB of voxels, else no",
            group="whether it is checked",
        ),
    },
    part=PIECE,
    chain="chunkwise.running.chains.convert:run",
)
