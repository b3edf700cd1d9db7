"""A bioimage.io model on an image."""

from dataclasses import replace

from chunkwise.operations._part import CHANNELS, LEVEL, REGION, TIME
from chunkwise.operations.model import Family, Image, Operation, Parameter

__all__ = ["FAMILY", "OPERATION"]


FAMILY = Family(
    name="predict",
    title="Run a model",
    summary="run a bioimage.io model, tile by tile, with the result of the whole image",
    about="""\
Run a bioimage.io model on an image of any size, with the result of the whole image.

The model's own description says which axes and channels it takes, how the image is normalised, and what the
result is called. Statistics are those of the whole image; tiles overlap by how far the network looks around
each voxel. The result is an image (OME-Zarr 0.5) with the model's maps as channels; 'chunkwise objects' turns
them into labels.

  chunkwise predict cells.ome.zarr --model nuclei --output maps.ome.zarr --channel DAPI

A 2-D model is run on every plane of a volume, each normalised on its own. A run that was stopped
resumes where it stopped when the same command is given again. 'chunkwise model list' names the models.
""",
    edam="operation_3443",
    group="the model",
)

OPERATION = Operation(
    name="predict",
    family="predict",
    title="Prediction",
    does="runs a bioimage.io model",
    takes={"image": Image("iuf")},
    gives=Image(label="image of maps"),
    parameters={
        "model": Parameter(
            str,
            None,
            "Model",
            "its name in the site's library, or one that comes with chunkwise",
            metavar="ID",
            required=True,
        ),
        "channel": replace(
            CHANNELS,
            help="channel of the image, by name or number; once for each channel that the model takes, in its order",
            default_words="all, if the image has as many as the model takes",
        ),
        "map": Parameter(
            str,
            None,
            "Outputs to keep",
            "output of the model to keep, by its name in the description; may be given several times",
            metavar="NAME",
            several=True,
            default_words="all",
        ),
        "dtype": Parameter(
            str,
            "float32",
            "Number type of the maps",
            "of the result",
            choices={
                "float32": "as the model gives them",
                "float16": "half the space",
                "uint8": "a quarter of the space, 0 to 1 becomes 0 to 255 (for probability maps)",
            },
        ),
        "rescale": Parameter(
            bool,
            False,
            "Rescale to the model's voxel size",
            "give the model voxels of the size that it was made for, interpolated from the image's, and map its "
            "results back to the image's voxels",
            default_words="voxels as they are, with a note if they are far from that size",
        ),
    },
    part={"level": LEVEL, "time": TIME, "region": REGION},
    chain="chunkwise.running.chains.predict:run",
)
