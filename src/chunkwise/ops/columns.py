"""The columns that the table of objects can have: their names, units and meanings, and how exact they are.

This is the one source of all that is said of them: the table's header, ``--dictionary``, ``docs/columns.md``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ops.properties import REGISTRY, Property

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
    "is_narrow",
    "summands",
    "table_columns",
    "value_type",
]

#: Percentiles of the intensity unless others are asked for.
PERCENTILES = (5.0, 25.0, 75.0, 95.0)


_BY_NAME = {entry.name: entry for entry in REGISTRY}

#: What can be measured without an image, and what with one.
PROPERTIES = tuple(entry.name for entry in REGISTRY if entry.group in ("place", "shape", "moments"))
INTENSITIES = tuple(entry.name for entry in REGISTRY if entry.group == "intensity")
#: What is measured unless something else is asked for.
DEFAULT = tuple(entry.name for entry in REGISTRY if entry.default)
#: Words that stand for several.
GROUPS = {
    "default": DEFAULT,
    "all": tuple(name for name in PROPERTIES + INTENSITIES if _BY_NAME[name].group != "moments"),
    "shape": tuple(entry.name for entry in REGISTRY if entry.group == "shape"),
    "all_moments": tuple(entry.name for entry in REGISTRY if entry.group == "moments"),
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
    parents: bool = False
    """Whether the parent of each object is found."""


def value_type(dtype: str) -> str:
    """How the values of an image are kept: ``u8`` or ``i8`` where they are integers, else ``f8``."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return "f8"
    return "u8" if kind == np.uint64 else "i8"


def is_narrow(dtype: str) -> bool:
    """Whether voxels are integers of up to 16 bits, whose squares are summed exactly."""
    kind = np.dtype(dtype)
    return kind.kind in "iub" and kind.itemsize <= 2


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
        raise InputError("--properties names nothing to measure; leave it out for the default columns.")
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
    if objects.parents:
        found += [Column(name, name, _BY_NAME[name].type) for name in ("parent", "parent_overlap")]
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
        "powers": ["".join(f"-{power}" for power in powers) for powers in product(range(4), repeat=len(objects.axes))],
        "seven": [f"-{number}" for number in range(7)],
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
    ends |= {"powers": "-0-0 to -3-3 (3-D: -0-0-0 to -3-3-3)", "seven": "-0 to -6"}
    units = {"scale": "unit of the axis", "size": "product of the axes' units", "": "-"}
    lines = ["| column | unit | meaning | scikit-image | promise | pass |", "|---|---|---|---|---|---|"]
    for entry in REGISTRY:
        name = f"`{entry.name}`" + (f" with {ends[entry.ends]}" if entry.ends in ends else "")
        if entry.group == "intensity":
            end = {"axis": "-AXIS", "percentile": "-P"}.get(entry.ends, "")
            name = f"`{entry.name}{end}-CHANNEL`"
        meaning = entry.meaning + (" (2-D only)" if entry.planes else "")
        how = "by object" if entry.needs == "box" or entry.name == "not_measured" else "sums"
        how = "`--parents`" if entry.name.startswith("parent") else how
        reference = f"`{entry.name}`" if entry.in_skimage else "-"
        unit = units.get(entry.unit, entry.unit)
        lines.append(f"| {name} | {unit} | {meaning} | {reference} | {entry.promise or '-'} | {how} |")
    return "\n".join(lines) + "\n"
