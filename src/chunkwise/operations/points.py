"""Points and shapes drawn as labels."""

from dataclasses import replace

from chunkwise.operations._part import LEVEL, REGION, TIME
from chunkwise.operations.model import Family, Image, Labels, Operation, Parameter, Table

__all__ = ["FAMILY", "OPERATION"]

FAMILY = Family(
    name="points",
    title="Draw points as labels",
    line="points, circles, rectangles and polygons of a table or GeoJSON: a label image",
    summary="make a label image of points and shapes: a table, or GeoJSON such as QuPath writes",
    about="""\
Make a label image of points, circles, rectangles and polygons, on the grid of an image.

The points are a table with a row for each (x and y, of volumes z, of several time points t, all in voxels; where there
are such columns also label, radius, or width and height), or GeoJSON with a feature for each, as QuPath writes it.
Spots and measured centres become seeds or regions in this way, and outlines that people drew become objects. Of shapes
that overlap, the later one lies on top.

  chunkwise points embryo.ome.zarr --points spots.tsv --radius 3 --output marks.ome.zarr
  chunkwise points slide.ome.zarr --points annotations.geojson --output regions.ome.zarr

A run that was stopped resumes where it stopped when the same command is given again.
""",
    edam="operation_3443",
    group="how points are read and drawn",
    made="points",
)

OPERATION = Operation(
    name="points",
    family="points",
    title="Points as labels",
    does="draws points and shapes as labels",
    takes={
        "image": Image(
            "biuf",
            help="the image whose size, scale and place the labels get: path or URL of an OME-Zarr, a reference JSON, "
            "or a TIFF, PNG or JPEG; its voxels are not read",
        ),
        "points": Table(
            option=True,
            label="Points",
            metavar="POINTS.tsv|.geojson",
            help="a table (TSV, CSV or Parquet) with a row for each point, or GeoJSON with points, polygons and "
            "multipolygons",
        ),
    },
    gives=Labels(),
    parameters={
        "columns": Parameter(
            str,
            None,
            "Which column holds what",
            "of a table: which column holds what, for x, y, z, t, label, radius, width and height, such as "
            "x=pos_x,radius=sigma",
            metavar="x=NAME,...",
            default_words="those of these names; x also pos_x, POS_X, or the last of centroid-0, centroid-1 and so on",
        ),
        "no_header": Parameter(
            bool,
            False,
            "Table without names of columns",
            "of a table: its first line is a point already; columns are called 1, 2, 3, and x is the first and y the "
            "second unless --columns says otherwise",
        ),
        "radius": Parameter(
            float,
            0.0,
            "Radius",
            "of points that say none: voxels up to this distance belong to the point; 0 is one voxel",
            unit="voxel",
            least=0,
            most=65536,
        ),
        "outside": Parameter(
            str,
            "fail",
            "Shapes outside of the image",
            "what becomes of points outside of the image, and of polygons no part of which is in it",
            choices={"fail": "stop, and name the first", "drop": "leave them out, and count them"},
        ),
    },
    part={
        "level": replace(LEVEL, help="resolution whose grid it is: 0 is the full one; places are in its voxels"),
        "time": TIME,
        "region": replace(
            REGION,
            help="write only this part, in voxels of the level, ends not included (for 2-D "
            "images: y0:y1,x0:x1); places stay those in the whole level",
            default_words="all",
        ),
    },
    chain="chunkwise.running.chains.points:run",
)
