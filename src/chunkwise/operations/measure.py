"""The objects of a label image, one row per object."""

from dataclasses import replace

from chunkwise.operations._part import CHANNELS, LEVEL, REGION, SAME_VOXELS, TIME
from chunkwise.operations.model import Family, File, Image, Labels, Operation, Parameter, Table

__all__ = ["FAMILY", "OPERATION"]


FAMILY = Family(
    name="measure",
    title="Measure objects",
    summary="measure the objects of a label image, one row per object",
    about="""\
Measure the objects of a label image: size, position and intensities, one row per object.

The labels are read in place, block by block, and the table is the same as from the whole image.
With an image, its intensities are measured too, in the level that has the shape, scale and place of the labels.
A mask (bool voxels) is one object.
Every time point has its own rows. Columns are named as in scikit-image's regionprops_table.

  chunkwise measure --labels labels.ome.zarr --image nuclei.ome.zarr --output objects.tsv

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="what is measured",
    part_group="which part",
)

OPERATION = Operation(
    name="measure",
    family="measure",
    title="Measurement",
    does="measures the objects of a label image",
    takes={
        "labels": Labels(option=True, help="the label image: path or URL of an OME-Zarr, or a reference"),
        "image": Image(
            option=True, optional=True, help="the image whose intensities are measured: path, URL or reference"
        ),
        "parents": Labels(
            option=True,
            optional=True,
            metavar="LABELS",
            help="another label image, such as cells where the labels are nuclei: of each object the one there with "
            "most of its voxels is found, of equal ones that with the lowest number",
        ),
    },
    gives=Table(metavar="OBJECTS.tsv|.parquet|.geojson", help="the table to write"),
    parameters={
        "properties": Parameter(
            str,
            None,
            "What to measure",
            "what to measure: names of docs/columns.md, such as num_pixels or solidity, or the groups default, "
            "shape, intensity, all_moments, and all, which leaves out moments",
            metavar="NAME",
            several=True,
            together=True,
            default_words="default, which is size, position and, with an image, the usual intensities",
        ),
        "percentiles": Parameter(
            str,
            None,
            "Which percentiles",
            "which percentiles intensity_percentile measures, from 0 to 100",
            metavar="P,P",
            default_words="5,25,75,95",
        ),
    },
    part={
        "level": replace(
            LEVEL, label="Resolution level of the labels", help="resolution of the labels; 0 is the full one"
        ),
        "channel": replace(
            CHANNELS,
            label="Channels of the image",
            help="channel of the image, by name or number; may be given several times",
        ),
        "time": replace(
            TIME,
            help="time points to measure; if the labels were made from only some of the image's, which ones",
        ),
        "region": replace(
            REGION,
            help="if the labels were made from a region of the image, that region, in voxels of the image's level",
        ),
        "same_voxels": SAME_VOXELS,
    },
    files={
        "summary": File(
            metavar="SUMMARY.tsv|.parquet",
            help="write a second table, one row a time point: number of objects, their total size and share of the "
            "image, mean and median size, intensities",
        ),
        "children": File(
            metavar="CHILDREN.tsv|.parquet",
            help="of --parents: write how many objects each of its objects is the parent of, also where there is none",
        ),
        "dictionary": File(metavar="COLUMNS.tsv", help="write name, unit and description of the table's columns"),
        "report": File(
            metavar="REPORT.html",
            help="write a page: picture with outlines, counts, sizes by time point, first rows, parameters",
        ),
    },
    chain="chunkwise.running.chains.measure:run",
)
