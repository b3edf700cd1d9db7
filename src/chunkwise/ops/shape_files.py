"""Reading points and shapes: a table with a row for each, or GeoJSON with a feature for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from chunkwise.errors import InputError
from chunkwise.files import open_file
from chunkwise.ops.shapes import Shapes
from chunkwise.ops.value_table import LISTED, numbers_of, read_columns, whole_numbers
from chunkwise.storage.json_text import parse_json

__all__ = ["FIELDS", "Asked", "read_shapes"]

Array = np.ndarray[Any, Any]

#: What a row may say, and columns that say it where none is named; ``centroid-N`` as 'chunkwise measure' counts axes.
FIELDS: Final = {
    **{axis: (axis, f"pos_{axis}", f"POS_{axis.upper()}") for axis in "xyz"},
    "t": ("t",),
    **{name: (name, name.upper()) for name in ("label", "radius", "width", "height")},
}
#: Bytes of a GeoJSON, which is held in memory as a whole.
LARGEST: Final = 2**28


@dataclass(frozen=True)
class Asked:
    """What was said of the file."""

    name: str
    """Of the file, for errors."""
    axes: str
    """Of the image: those that a shape has to say of ``tzyx``."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Columns by :data:`FIELDS`; others are found by their names."""
    header: bool = True
    radius: float = 0.0
    """Of points that say none."""


def read_shapes(path: str, allows: Callable[[str], bool], asked: Asked) -> tuple[Shapes, dict[str, str]]:
    """Read all shapes of a file.

    Parameters
    ----------
    path : str
        The file.
    allows : callable
        Says of a path, links resolved, whether the policy allows it.
    asked : Asked
        What was said of it.

    Returns
    -------
    shapes : Shapes
        In the order of the file.
    columns : dict
        Of a table, which column says what.

    Raises
    ------
    InputError
        If it is neither a table nor GeoJSON, lacks a column, or a shape cannot be drawn.
    """
    with open_file(path, allows, what="table") as file:
        begin = file.read(256).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if begin not in (b"{", b"["):
            return _of_table(path, allows, asked)
    with open_file(path, allows, largest=LARGEST, what="GeoJSON") as file:
        try:
            content = parse_json(file.read().decode("utf-8-sig"), finite=True)
        except (ValueError, RecursionError) as error:
            raise InputError(f"{asked.name} cannot be read as GeoJSON: {error}.") from None
    if asked.columns:
        raise InputError(f"{asked.name} is GeoJSON, which has no columns; leave out --columns.")
    return _of_features(content, asked), {}


# --- tables ---


def _of_table(path: str, allows: Callable[[str], bool], asked: Asked) -> tuple[Shapes, dict[str, str]]:
    found: dict[str, str] = {}
    name = asked.name

    def choose(names: Sequence[str]) -> list[str]:
        found.update(_columns(names, asked))
        return list(dict.fromkeys(found.values()))

    label = asked.columns.get("label") or next((one for one in FIELDS["label"] if asked.header), None)
    table = read_columns(path, allows, name, choose, [] if label is None else [label], asked.header)
    count = table.num_rows
    if not count:
        raise InputError(f"{name} has no rows.")
    numbers = {
        what: numbers_of(table[column], column, name).astype(np.float64)
        for what, column in found.items()
        if what != "label"
    }
    for axis in "tzyx":
        if axis in numbers:
            _refuse_rows(~np.isfinite(numbers[axis]), asked, f"no number in the column '{found[axis]}'")
    places = np.stack([numbers.get(axis, np.zeros(count)) for axis in "zyx"], axis=1)
    labels = whole_numbers(table[found["label"]], found["label"], name) if "label" in found else np.arange(1, count + 1)
    _refuse_rows(labels < 1, asked, "a label below 1, which stands for background")
    radius, width, height = (numbers.get(one, np.zeros(count)) for one in ("radius", "width", "height"))
    rectangles = (width > 0) & (height > 0)
    _refuse_rows(rectangles & (radius > 0), asked, "both a radius and a width and height")
    _refuse_rows((radius < 0) | (width < 0) | (height < 0), asked, "a size below 0")
    if "radius" not in numbers:
        radius = np.full(count, asked.radius)
    radius = np.where(rectangles, 0, np.where(np.isnan(radius), asked.radius, radius))
    rings = {int(row): [_rectangle(places[row], width[row], height[row])] for row in np.flatnonzero(rectangles)}
    times = numbers.get("t", np.zeros(count))
    return Shapes.made_of(places, times, labels.astype(np.uint64), radius, rings), found


def _columns(names: Sequence[str], asked: Asked) -> dict[str, str]:
    """Which column says what."""
    known = f"its columns are {', '.join(names[:LISTED]) + (', ...' if len(names) > LISTED else '') or 'none'}"
    usual: dict[str, tuple[str, ...]] = dict(FIELDS)
    for number, axis in enumerate("zyx" if "centroid-2" in names else "yx"):
        usual[axis] = (*usual[axis], f"centroid-{number}")
    if not asked.header:
        usual = {"x": ("1",), "y": ("2",)}
    found = {}
    for what in FIELDS:
        if what in asked.columns:
            found[what] = asked.columns[what]
            if names.count(found[what]) != 1:
                several = "several columns" if found[what] in names else "no column"
                raise InputError(f"{asked.name} has {several} '{found[what]}'; {known}.")
            continue
        there = [one for one in usual.get(what, ()) if one in names]
        if there:
            found[what] = there[0]
            if names.count(there[0]) > 1:
                raise InputError(f"{asked.name} has several columns '{there[0]}'; {known}.")
        elif what in asked.axes:
            more = ", or --no-header if the first line holds numbers already" if asked.header else ""
            raise InputError(
                f"{asked.name} has no column for {what} ({', '.join(usual.get(what, (what,)))}); {known}. Give "
                f"--columns {what}=NAME{more}."
            )
    return found


def _refuse_rows(wrong: Array, asked: Asked, what: str) -> None:
    """Refuse rows, and name the first."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        first = f"row {rows[0] + 1}" + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")
        raise InputError(f"{asked.name} has {what} in {first}.")


def _rectangle(place: Array, width: float, height: float) -> Array:
    """Its corners, the first of them a whole voxel."""
    y, x = np.rint(place[1:])
    right, low = x + width - 1, y + height - 1
    return np.array([[x, y], [right, y], [right, low], [x, low]])


# --- GeoJSON ---


def _of_features(content: Any, asked: Asked) -> Shapes:
    if isinstance(content, dict) and "coordinates" in content:  # a geometry without a feature around it
        content = {"geometry": content}
    listed = content.get("features", [content]) if isinstance(content, dict) else content
    if not isinstance(listed, list) or not listed:
        raise InputError(f"{asked.name} has no features.")
    count = len(listed)
    places, times, radius = np.zeros((count, 3)), np.zeros(count), np.zeros(count)
    rings: dict[int, list[Array]] = {}
    for number, feature in enumerate(listed):
        try:
            places[number], times[number], radius[number], those = _feature(feature, asked)
        except _NotDrawnError as why:
            raise InputError(f"Feature {number + 1} of {asked.name} {why}.") from None
        except (TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError):
            raise InputError(f"Feature {number + 1} of {asked.name} is not GeoJSON.") from None
        if those:
            rings[number] = those
    return Shapes.made_of(places, times, _feature_labels(listed), radius, rings)


class _NotDrawnError(Exception):
    """Why a feature cannot be drawn, as the end of a sentence."""


def _feature(feature: Any, asked: Asked) -> tuple[Any, float, float, list[Array]]:
    """Place, time, radius and rings of a feature."""
    geometry = feature["geometry"]
    if geometry is None:
        raise _NotDrawnError("has no place: its geometry is null")
    kind, plane = geometry["type"], geometry.get("plane") or {}
    if kind not in ("Point", "Polygon", "MultiPolygon"):
        raise _NotDrawnError(f"is a {kind}, and points, polygons and multipolygons are drawn")
    coordinates = geometry["coordinates"]
    if coordinates == []:
        raise _NotDrawnError("has no place: its coordinates are empty")
    known = {axis: plane[axis] for axis in "tz" if axis in plane}
    rings: list[Array] = []
    x = y = radius = 0.0
    if kind == "Point":
        x, y, *more = coordinates
        known |= {"z": more[0]} if more else {}
        said = (feature.get("properties") or {}).get("radius")
        radius = asked.radius if said is None else said
        if radius < 0:
            raise _NotDrawnError("has a radius below 0")
    else:
        flat = isinstance(coordinates[0][0], int | float)  # one ring that is not in a list, which is seen
        parts = [[coordinates]] if flat else [coordinates] if kind == "Polygon" else coordinates
        rings = [np.array([corner[:2] for corner in ring], np.float64) for part in parts for ring in part]
        if any(ring.shape[0] < 3 or ring.shape[1] != 2 for ring in rings):
            raise _NotDrawnError("has a ring of fewer than three corners")
    for axis in asked.axes:
        if axis in "tz" and axis not in known:
            raise _NotDrawnError(f"does not say its {axis} (geometry.plane.{axis}), and the image has several")
    numbers = np.array([known.get("z", 0), y, x], np.float64)
    if not all(np.isfinite(one).all() for one in (numbers, *rings)):
        raise _NotDrawnError("has a place that is no number")
    return numbers, float(known.get("t", 0)), float(radius), rings


def _feature_labels(features: Sequence[Any]) -> Array:
    """A label for each: its name, where that is a whole number of 1 or more, else the lowest that no name takes."""
    named = [_whole_name((one.get("properties") or {}).get("name")) for one in features]
    taken = {one for one in named if one}
    free = (number for number in range(1, 2 * len(named) + 1) if number not in taken)
    return np.array([one or next(free) for one in named], np.uint64)


def _whole_name(name: Any) -> int:
    """0 where it is none."""
    try:
        number = int(name) if isinstance(name, str | int) else 0
    except ValueError:
        return 0
    return number if 0 < number < 2**64 else 0
