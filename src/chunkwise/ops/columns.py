"""The columns that the table of objects can have: their names, units and meanings, and how exact they are.

This is the one source of all that is said of them: the table's header, ``--dictionary``, ``docs/columns.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from chunkwise.errors import InputError

__all__ = [
    "DEFAULT",
    "GROUPS",
    "INTENSITIES",
    "PERCENTILES",
    "PROPERTIES",
    "REGISTRY",
    "Column",
    "Objects",
    "Property",
    "by_object",
    "choose",
    "columns_page",
    "dictionary",
    "summands",
    "table_columns",
    "value_type",
]

#: Percentiles of the intensity unless others are asked for.
PERCENTILES = (5.0, 25.0, 75.0, 95.0)


@dataclass(frozen=True)
class Property:
    """Something that is measured: a column, or several that belong together."""

    name: str
    group: str
    """``place``, ``shape`` or ``intensity``; ``always`` for what cannot be chosen."""
    type: str
    """Of a value: ``i8``, ``u8``, ``f8``, or ``values`` for the type in which the image's values are kept."""
    unit: str
    """``scale`` stands for the unit of the axes, ``size`` for their product."""
    meaning: str
    promise: str
    """``bit`` or ``rtol 1e-9``; empty where there is nothing to compare with."""
    reference: str = ""
    """What scikit-image calls it."""
    ends: str = ""
    """How the columns' names go on: ``axis`` (its number), ``letter`` (its), ``sides``, ``matrix``, ``percentile``."""
    needs: str = ""
    """What blocks have to sum up for it: ``second``, ``weighted``, ``euler``; ``box`` for the pass by object."""
    planes: bool = False
    """Whether it is for 2-D only."""
    default: bool = False
    """Whether it is measured unless something else is asked for."""


REGISTRY = (
    Property("label", "always", "u8", "", "number of the object in the label image", "bit", "label"),
    Property("t", "always", "i8", "", "time point in the label image, from 0; 0 where it has no time axis", ""),
    Property("num_pixels", "place", "i8", "voxel", "number of voxels", "bit", "num_pixels", default=True),
    Property(
        "area_physical",
        "place",
        "f8",
        "size",
        "voxels times the size of one: area (2-D), volume (3-D)",
        "",
        default=True,
    ),
    Property("centroid", "place", "f8", "voxel", "mean coordinate", "bit", "centroid", "axis", default=True),
    Property(
        "centroid_physical",
        "place",
        "f8",
        "scale",
        "mean coordinate as a place: translation plus scale times voxels",
        "",
        ends="letter",
        default=True,
    ),
    Property(
        "bbox",
        "place",
        "i8",
        "voxel",
        "bounding box: the smallest coordinates, then the largest plus 1",
        "bit",
        "bbox",
        "sides",
        default=True,
    ),
    Property(
        "equivalent_diameter_area",
        "place",
        "f8",
        "voxel",
        "diameter of the disk or ball with as many voxels",
        "bit",
        "equivalent_diameter_area",
        default=True,
    ),
    Property("extent", "shape", "f8", "1", "voxels of the object over voxels of its bounding box", "bit", "extent"),
    Property(
        "euler_number",
        "shape",
        "i8",
        "1",
        "2-D: parts minus holes; 3-D: parts plus cavities minus tunnels; voxels that share a corner are joined",
        "bit",
        "euler_number",
        needs="euler",
    ),
    Property(
        "inertia_tensor",
        "shape",
        "f8",
        "voxel^2",
        "inertia around the centroid, for each voxel; every voxel is a point",
        "rtol 1e-9",
        "inertia_tensor",
        "matrix",
        "second",
    ),
    Property(
        "inertia_tensor_eigvals",
        "shape",
        "f8",
        "voxel^2",
        "eigenvalues of the inertia, the largest first",
        "rtol 1e-9",
        "inertia_tensor_eigvals",
        "axis",
        "second",
    ),
    Property(
        "axis_major_length",
        "shape",
        "f8",
        "voxel",
        "longest axis of the ellipse or ellipsoid with the same inertia",
        "rtol 1e-9",
        "axis_major_length",
        needs="second",
    ),
    Property(
        "axis_minor_length",
        "shape",
        "f8",
        "voxel",
        "shortest axis of the ellipse or ellipsoid with the same inertia",
        "rtol 1e-9",
        "axis_minor_length",
        needs="second",
    ),
    Property(
        "eccentricity",
        "shape",
        "f8",
        "1",
        "of that ellipse: 0 for a circle, near 1 for a line",
        "rtol 1e-9",
        "eccentricity",
        needs="second",
        planes=True,
    ),
    Property(
        "orientation",
        "shape",
        "f8",
        "radian",
        "angle between the first axis (y) and the longest axis of that ellipse, from -pi/2 to pi/2",
        "rtol 1e-9",
        "orientation",
        needs="second",
        planes=True,
    ),
    Property(
        "area_convex",
        "shape",
        "f8",
        "voxel",
        "voxels of the convex hull; nan where a 3-D object lies in one plane",
        "bit",
        "area_convex",
        needs="box",
    ),
    Property("solidity", "shape", "f8", "1", "voxels over voxels of the convex hull", "bit", "solidity", needs="box"),
    Property(
        "feret_diameter_max",
        "shape",
        "f8",
        "voxel",
        "longest distance between two points of the convex hull's outline",
        "bit",
        "feret_diameter_max",
        needs="box",
    ),
    Property(
        "perimeter",
        "shape",
        "f8",
        "voxel",
        "length of the outline through the centres of the border pixels",
        "bit",
        "perimeter",
        needs="box",
        planes=True,
    ),
    Property(
        "intensity_mean",
        "intensity",
        "f8",
        "intensity",
        "mean intensity",
        "bit (floats: rtol 1e-9)",
        "intensity_mean",
        default=True,
    ),
    Property(
        "intensity_min", "intensity", "values", "intensity", "smallest intensity", "bit", "intensity_min", default=True
    ),
    Property(
        "intensity_max", "intensity", "values", "intensity", "largest intensity", "bit", "intensity_max", default=True
    ),
    Property(
        "intensity_sum",
        "intensity",
        "values",
        "intensity",
        "sum of the intensities",
        "bit (floats: rtol 1e-9)",
        default=True,
    ),
    Property(
        "intensity_std",
        "intensity",
        "f8",
        "intensity",
        "standard deviation of the intensity; squares over the number of voxels",
        "rtol 1e-9",
        "intensity_std",
        default=True,
    ),
    Property(
        "centroid_weighted",
        "intensity",
        "f8",
        "voxel",
        "mean coordinate, each voxel weighed by its intensity",
        "bit (floats: rtol 1e-9)",
        "centroid_weighted",
        "axis",
        "weighted",
    ),
    Property(
        "intensity_median", "intensity", "f8", "intensity", "median intensity", "bit", "intensity_median", needs="box"
    ),
    Property(
        "intensity_percentile",
        "intensity",
        "f8",
        "intensity",
        "percentile of the intensity, interpolated as numpy.percentile does",
        "bit",
        ends="percentile",
        needs="box",
    ),
    Property(
        "not_measured",
        "always",
        "i8",
        "1",
        "1 where the object's box does not fit in memory, so that what needs it is nan; else 0",
        "",
    ),
)

_BY_NAME = {entry.name: entry for entry in REGISTRY}

#: What can be measured without an image, and what with one.
PROPERTIES = tuple(entry.name for entry in REGISTRY if entry.group in ("place", "shape"))
INTENSITIES = tuple(entry.name for entry in REGISTRY if entry.group == "intensity")
#: What is measured unless something else is asked for.
DEFAULT = tuple(entry.name for entry in REGISTRY if entry.default)
#: Words that stand for several.
GROUPS = {
    "default": DEFAULT,
    "all": PROPERTIES + INTENSITIES,
    "shape": tuple(entry.name for entry in REGISTRY if entry.group == "shape"),
    "intensity": INTENSITIES,
}


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str
    of: str
    """The property it belongs to."""
    type: str
    """``i8``, ``u8`` or ``f8``."""


@dataclass(frozen=True)
class Objects:
    """What the columns of a table depend on."""

    axes: str
    """Spatial axes, such as ``zyx``."""
    channels: tuple[str, ...] = ()
    """Names of the image's channels; none where there is no image."""
    values: str = "f8"
    """How the image's values are kept; see :func:`value_type`."""
    percentiles: tuple[float, ...] = PERCENTILES


def value_type(dtype: str) -> str:
    """How the values of an image are kept: ``u8`` or ``i8`` where they are integers, else ``f8``."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return "f8"
    return "u8" if kind == np.uint64 else "i8"


def choose(asked: Sequence[str] | None, ndim: int, with_image: bool) -> tuple[str, ...]:
    """Turn names of properties and groups into the properties to measure, in their fixed order.

    Parameters
    ----------
    asked : sequence of str, optional
        Names; several may be in one string with commas between. None stands for ``default``.
    ndim : int
        Axes of a volume.
    with_image : bool
        Whether there is an image.

    Raises
    ------
    InputError
        If there is no such name, or the property needs an image or a plane. Groups leave out what cannot be.
    """
    names = [name for text in (asked or ["default"]) for name in text.split(",") if name]
    if not names:
        raise InputError("--properties names nothing to measure; leave it out for the usual columns.")
    wanted: set[str] = set()
    for name in names:
        if name not in (*PROPERTIES, *INTENSITIES, *GROUPS):
            raise InputError(
                f"There is no property '{name}'; there are {', '.join(PROPERTIES + INTENSITIES)}, and the groups "
                f"{', '.join(GROUPS)}."
            )
        if name in ("intensity", *INTENSITIES) and not with_image:
            raise InputError(f"The property {name} needs an image; give it with --image.")
        if name in GROUPS:
            wanted.update(one for one in GROUPS[name] if ndim == 2 or not _BY_NAME[one].planes)
        elif _BY_NAME[name].planes and ndim != 2:
            raise InputError(f"The property {name} is for 2-D images only, and these labels have {ndim} axes.")
        else:
            wanted.add(name)
    return tuple(name for name in PROPERTIES + (INTENSITIES if with_image else ()) if name in wanted)


def summands(properties: Iterable[str]) -> tuple[str, ...]:
    """What blocks have to sum up beyond counts and intensities: ``second``, ``weighted``, ``euler``, or ``box``."""
    return tuple(sorted({_BY_NAME[name].needs for name in properties} - {""}))


def by_object(properties: Iterable[str]) -> tuple[str, ...]:
    """The properties that are not sums, and need all of an object at once."""
    return tuple(name for name in properties if _BY_NAME[name].needs == "box")


def table_columns(objects: Objects, properties: Sequence[str]) -> list[Column]:
    """The table's columns: label and time point, then what was asked for, in a fixed order."""
    found = [Column("label", "label", "u8"), Column("t", "t", "i8")]
    for entry in REGISTRY:
        if entry.name in properties and entry.group != "intensity":
            found += [Column(f"{entry.name}{end}", entry.name, entry.type) for end in _ends(entry, objects)]
    for channel in objects.channels:
        for entry in REGISTRY:
            if entry.name in properties and entry.group == "intensity":
                kind = objects.values if entry.type == "values" else entry.type
                found += [Column(f"{entry.name}{end}-{channel}", entry.name, kind) for end in _ends(entry, objects)]
    if by_object(properties):
        found.append(Column("not_measured", "not_measured", "i8"))
    return found


def _ends(entry: Property, objects: Objects) -> list[str]:
    numbers = range(len(objects.axes))
    ends = {
        "": [""],
        "axis": [f"-{axis}" for axis in numbers],
        "letter": [f"-{axis}" for axis in objects.axes],
        "sides": [f"-{side}" for side in range(2 * len(objects.axes))],
        "matrix": [f"-{a}-{b}" for a in numbers for b in numbers],
        "percentile": [f"-{percentile:g}" for percentile in objects.percentiles],
    }
    return ends[entry.ends]


def dictionary(columns: Sequence[Column], units: Sequence[str | None], axes: str) -> str:
    """Say what the columns of a table are, as text with tabs: ``name``, ``unit``, ``description``.

    Parameters
    ----------
    columns : sequence of Column
        Of the table.
    units : sequence of str or None
        Of the spatial axes.
    axes : str
        Their letters.
    """
    named = [unit or "unit of the scale" for unit in units]
    size = f"{named[0]}^{len(named)}" if len(set(named)) == 1 else " ".join(named)
    lines = ["name\tunit\tdescription"]
    for column in columns:
        entry = _BY_NAME[column.of]
        unit = {"size": size, "scale": named[axes.find(column.name[-1])]}.get(entry.unit, entry.unit)
        end = column.name.removeprefix(entry.name).removeprefix("-")
        lines.append(f"{column.name}\t{unit}\t{entry.meaning}{f' ({end})' if end else ''}")
    return "\n".join(lines) + "\n"


def columns_page() -> str:
    """The table of all properties, as it stands in ``docs/columns.md``."""
    ends = {"axis": "-0, -1, ...", "letter": "-z, -y, -x", "sides": "-0, -1, ...", "matrix": "-0-0, -0-1, ..."}
    units = {"scale": "unit of the axis", "size": "product of the axes' units", "": "-"}
    lines = ["| column | unit | meaning | scikit-image | promise | pass |", "|---|---|---|---|---|---|"]
    for entry in REGISTRY:
        name = f"`{entry.name}`" + (f" with {ends[entry.ends]}" if entry.ends in ends else "")
        if entry.group == "intensity":
            end = {"axis": "-AXIS", "percentile": "-P"}.get(entry.ends, "")
            name = f"`{entry.name}{end}-CHANNEL`"
        meaning = entry.meaning + (" (2-D only)" if entry.planes else "")
        how = "by object" if entry.needs == "box" or entry.name == "not_measured" else "sums"
        reference = f"`{entry.reference}`" if entry.reference else "-"
        unit = units.get(entry.unit, entry.unit)
        lines.append(f"| {name} | {unit} | {meaning} | {reference} | {entry.promise or '-'} | {how} |")
    return "\n".join(lines) + "\n"
