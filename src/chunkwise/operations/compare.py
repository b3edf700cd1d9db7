"""Two label images held against each other."""

from dataclasses import replace

from chunkwise.operations._part import LEVEL, REGION, SAME_VOXELS, TIME, VIEW
from chunkwise.operations.model import Family, File, Labels, Operation, Parameter, Table

__all__ = ["FAMILY", "OPERATION"]


FAMILY = Family(
    name="compare",
    title="Compare label images",
    summary="compare two label images: objects found, missed, split and merged",
    about="""\
Compare two label images: which objects were found, missed, split and merged.

TRUTH is the label image to compare with, such as outlines drawn by people; PREDICTED is the one to assess. Both are
read in place, block by block, and the numbers are those of the whole images. Label values do not matter. A predicted
object matches a true one if their intersection over union (IoU) is greater than the threshold. Every time point
is compared on its own; the counts of all are pooled, too.

  chunkwise compare truth.ome.zarr nuclei.ome.zarr --output comparison.json --table matches.tsv --html report.html

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="what is counted",
    part_group="which part of both images",
)

OPERATION = Operation(
    name="compare",
    family="compare",
    title="Comparison",
    does="compares two label images",
    takes={
        "truth": Labels(help="the label image to compare with: path, URL or reference"),
        "predicted": Labels(help="the label image to assess: path, URL or reference"),
    },
    gives=Table(metavar="COMPARISON.json", help="all counts and scores", formats={}),
    parameters={
        "threshold": Parameter(
            float,
            None,
            "IoU thresholds",
            "IoU that a match has to exceed, each at least 0.5 and below 1",
            metavar="IOU",
            several=True,
            together=True,
            default_words="0.5 0.55 ... 0.95",
        ),
        "share": Parameter(
            float,
            0.1,
            "Overlap that counts as split or merged",
            "an object is split, or merged, if two others each cover at least this fraction of it",
            metavar="PART",
        ),
    },
    part={
        "level": LEVEL,
        "time": TIME,
        "region": replace(
            REGION,
            help="cut both images first; in voxels of the level, ends not included (for 2-D images: y0:y1,x0:x1)",
        ),
        "same_voxels": SAME_VOXELS,
    },
    files={
        "table": File(metavar="MATCHES.tsv|.parquet", help="one row per object: its best match, and the IoU"),
        "html": File(metavar="REPORT.html", help="a page to read"),
        "view": replace(VIEW, help="write both label images as one page to browse, with what was found and missed"),
        "pictures": File(
            metavar="DIR",
            folder=True,
            help="write the page's picture as a PNG file into this folder (without it, it is inside the page)",
        ),
    },
    chain="chunkwise.running.chains.compare:run",
)
