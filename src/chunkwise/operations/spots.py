"""Small bright spots, one row each."""

from dataclasses import replace

from chunkwise.operations._part import CHANNEL, LEVEL, REGION, TIME
from chunkwise.operations.model import Family, Image, Operation, Parameter, Table

__all__ = ["FAMILY", "OPERATION"]

FAMILY = Family(
    name="spots",
    title="Find spots",
    line="small bright spots, by LoG, DoG or as local maxima: a table",
    summary="find small bright spots by their size (LoG, DoG) or as local maxima: a table of their places",
    about="""\
Find small bright spots, such as vesicles, foci or single molecules: one row each, with its place, size and intensity.

The image is read in place, block by block, and the table is that of the whole image: spots that lie at the border of
two blocks are found once, and which of two overlapping spots stays is decided on the whole table. The methods are:

  log    Laplacian of Gaussian over several sizes (skimage.feature.blob_log)
  dog    difference of Gaussians, which is faster and less exact in size (skimage.feature.blob_dog)
  peaks  local maxima of the smoothed image (skimage.feature.peak_local_max)

  chunkwise spots rna.ome.zarr --channel FISH --min-sigma 1 --max-sigma 3 --output spots.tsv

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="what a spot is",
)

OPERATION = Operation(
    name="spots",
    family="spots",
    title="Spot detection",
    does="finds small bright spots",
    takes={"image": Image("iuf")},
    gives=Table(metavar="SPOTS.tsv|.parquet|.geojson", help="the table to write"),
    parameters={
        "method": Parameter(
            str,
            "log",
            "Method",
            "how spots are found",
            choices={
                "log": "Laplacian of Gaussian (LoG), at several sizes",
                "dog": "difference of Gaussians (DoG), at several sizes",
                "peaks": "local maxima of the smoothed image",
            },
        ),
        "min_sigma": Parameter(
            float, 1.0, "Smallest sigma", "of log and dog: of the smallest spots", unit="voxel", least=0.3, most=64
        ),
        "max_sigma": Parameter(
            float, 3.0, "Largest sigma", "of log and dog: of the largest spots", unit="voxel", least=0.3, most=64
        ),
        "num_sigma": Parameter(
            int, 5, "Number of sizes", "of log: sizes from the smallest to the largest", least=1, most=32
        ),
        "sigma_ratio": Parameter(
            float, 1.6, "Ratio of sizes", "of dog: how much larger each size is than the one before", least=1.05, most=8
        ),
        "overlap": Parameter(
            float,
            0.5,
            "Overlap",
            "of log and dog: of two spots of which more than this part overlaps, the smaller one is dropped",
            least=0,
            most=1,
        ),
        "sigma": Parameter(
            float,
            1.0,
            "Smoothing",
            "of peaks: sigma of the Gaussian before; 0 for none",
            unit="voxel",
            least=0,
            most=64,
        ),
        "distance": Parameter(
            int,
            1,
            "Distance",
            "of peaks: a spot is the largest value within so many voxels along each axis",
            unit="voxel",
            least=1,
            most=64,
        ),
        "threshold": Parameter(
            float, 0.0, "Smallest response", "response that a spot has to exceed, in units of the image's values"
        ),
        "relative": Parameter(
            float,
            0.1,
            "Smallest share of the largest response",
            "share of the largest response of its time point that a spot has to exceed",
            least=0,
            most=1,
        ),
        "border": Parameter(
            int,
            0,
            "Border",
            "spots in so many voxels along the border of the image, or of the region, are left out",
            unit="voxel",
            least=0,
        ),
    },
    part={
        "level": LEVEL,
        "channel": CHANNEL,
        "time": TIME,
        "region": replace(REGION, help=f"{REGION.help}; the table's places are those in the whole level"),
    },
    chain="chunkwise.running.chains.spots:run",
    rounds=lambda method, **_: method != "peaks",
)
