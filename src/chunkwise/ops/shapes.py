"""Points, circles, rectangles and polygons drawn as labels, block by block.

Reference, on each whole plane or volume: of every shape, in their order, the voxels that it covers get its label, so
that a later one lies over an earlier one. A point covers its voxel; with a radius, those with
``scipy.ndimage.distance_transform_edt(~voxel) <= radius``; a polygon those of ``skimage.draw.polygon2mask``, an odd
number of times if it has several rings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from chunkwise.blocks.grid import Box

__all__ = ["FAR", "Shapes", "draw"]

Array = np.ndarray[Any, Any]
Rings = Mapping[int, list[Array]]

#: Of every shape: where it lies (z, y, x; of a plane z is 0), its label, the radius of a point, the rings of a polygon.
ROW: Final = np.dtype(
    [
        *(("number", "i8"), ("t", "i8"), ("low", "i8", 3), ("high", "i8", 3), ("centre", "i8", 3)),
        *(("label", "u8"), ("radius", "f8"), ("ring", "i8"), ("rings", "i8")),
    ]
)
#: Voxels; what is farther away is outside of every image.
FAR: Final = 2**40
#: Voxels of a shape that are looked at together.
STRIP: Final = 2**18
_FILES: Final = ("rows", "starts", "vertices")


@dataclass(frozen=True)
class Shapes:
    """Shapes in the order in which they are drawn."""

    rows: Array
    """Of the type :data:`ROW`."""
    starts: Array
    """Where each ring begins among the vertices, and the end of the last."""
    vertices: Array
    """Shape (vertices, 2): x and y."""

    @classmethod
    def made_of(cls, places: Array, times: Array, labels: Array, radius: Array, rings: Rings) -> Self:
        """Make shapes.

        Parameters
        ----------
        places : ndarray of float
            Shape (shapes, 3): z, y and x of points, and z of polygons.
        times, labels, radius : ndarray
            One for each; polygons have no radius.
        rings : mapping of int to list of ndarray
            Which are polygons, and their rings, each of shape (vertices, 2), x and y.
        """
        rows = np.zeros(len(places), ROW)
        rows["number"], rows["label"], rows["radius"] = np.arange(1, len(rows) + 1), labels, radius
        rows["t"] = _whole(times)
        rows["centre"] = _whole(places)
        around = np.floor(np.minimum(radius, FAR)).astype(np.int64)[:, None]
        rows["low"], rows["high"] = rows["centre"] - around, rows["centre"] + around + 1
        joined: list[Array] = []
        for place, those in rings.items():
            row, corners = rows[place], np.concatenate(those)[:, ::-1]
            row["ring"], row["rings"] = len(joined), len(those)
            row["low"][1:], row["high"][1:] = np.floor(_near(corners.min(0))), np.ceil(_near(corners.max(0))) + 1
            joined += those
        starts = np.cumsum([0, *map(len, joined)])
        return cls(rows, starts, np.concatenate(joined) if joined else np.zeros((0, 2)))

    def inside(self, times: int, sizes: tuple[int, ...]) -> Array:
        """Which lie in an image of so many time points and that size: points by their middle, polygons by any part."""
        sizes = (1,) * (3 - len(sizes)) + sizes
        rows = self.rows
        polygons = (rows["rings"] > 0)[:, None]
        low = np.where(polygons, rows["low"], rows["centre"])
        high = np.where(polygons, rows["high"], rows["centre"] + 1)
        there = ((low < np.array(sizes)) & (high > 0)).all(1)
        return np.asarray(there & (rows["t"] >= 0) & (rows["t"] < times))

    def only(self, which: Array) -> Self:
        """Those that are true in a mask, or whose places are given."""
        return replace(self, rows=self.rows[which])

    def by_time(self) -> Self:
        """The same, those of each time point together."""
        return self.only(np.argsort(self.rows["t"], kind="stable"))

    def hidden(self) -> Array:
        """Points without a radius whose voxel is a later one's, with another label: where they are among the rows."""
        at = np.flatnonzero((self.rows["rings"] == 0) & (self.rows["radius"] < 1))
        rows = self.rows[at]
        order = np.lexsort((rows["number"], *rows["centre"].T, rows["t"]))
        before, after = rows[order[:-1]], rows[order[1:]]
        same = (before["t"] == after["t"]) & (before["centre"] == after["centre"]).all(1)
        return np.sort(at[order[:-1][same & (before["label"] != after["label"])]])

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return int(sum(getattr(self, name).nbytes for name in _FILES))

    def save(self, put: Callable[[str, Array], object]) -> None:
        """Write the arrays by ``put(name, array)``."""
        for name in _FILES:
            put(f"{name}.npy", getattr(self, name))

    @classmethod
    def load(cls, folder: str) -> Self:
        """Open what was written, without reading it."""
        return cls(*(np.load(f"{folder}/{name}.npy", mmap_mode=None if name == "starts" else "r") for name in _FILES))


def draw(shapes: Shapes, time: int, box: Box, dtype: str) -> Array:
    """Draw the part of the shapes that lies in a box of a time point.

    Parameters
    ----------
    shapes : Shapes
        In the order of :meth:`Shapes.by_time`.
    time : int
        Of which.
    box : tuple of slice
        Of the image, 2-D or 3-D.
    dtype : str
        Of the labels.
    """
    made = np.zeros(tuple(part.stop - part.start for part in box), dtype)
    wide = (slice(0, 1),) * (3 - len(box)) + box
    begin, end = (np.array([getattr(part, one) for part in wide]) for one in ("start", "stop"))
    first, last = np.searchsorted(shapes.rows["t"], [time, time + 1])
    rows = shapes.rows[first:last]
    rows = rows[((rows["low"] < end) & (rows["high"] > begin)).all(1)]
    single = (rows["rings"] == 0) & (rows["radius"] < 1)
    target = made.reshape(tuple(end - begin))
    for part in np.split(rows, np.flatnonzero(np.diff(single)) + 1):
        if len(part) and part["rings"][0] == 0 and part["radius"][0] < 1:
            target[tuple((part["centre"] - begin).T)] = part["label"]  # of equal places the last stays
            continue
        for row in part:
            _draw_one(shapes, row, target, begin, np.maximum(row["low"], begin), np.minimum(row["high"], end))
    return made


def _draw_one(shapes: Shapes, row: Any, target: Array, begin: Array, low: Array, high: Array) -> None:
    """Draw a shape, some rows of a plane at a time."""
    columns = np.arange(low[2], high[2])
    step = max(1, STRIP // len(columns))
    for z in range(low[0], high[0]):
        for y in range(low[1], high[1], step):
            lines = np.arange(y, min(y + step, high[1]))
            if row["rings"]:
                mask = _in_rings(shapes, row, lines, columns)
            else:
                places = (np.float64(z), lines[:, None].astype(np.float64), columns.astype(np.float64))
                far = [(place - middle) ** 2 for place, middle in zip(places, row["centre"], strict=True)]
                mask = np.sqrt(far[0] + far[1] + far[2]) <= row["radius"]
            part = target[z - begin[0], y - begin[1] :, low[2] - begin[2] :]
            part[: len(lines), : len(columns)][mask] = row["label"]


def _in_rings(shapes: Shapes, row: Any, lines: Array, columns: Array) -> Array:
    """Which voxels an odd number of rings hold."""
    from skimage.measure import points_in_poly

    places = np.stack(np.broadcast_arrays(columns, lines[:, None]), axis=-1).reshape(-1, 2)
    inside = np.zeros(len(places), bool)
    for ring in range(row["ring"], row["ring"] + row["rings"]):
        known = _near_lines(shapes.vertices[slice(*shapes.starts[ring : ring + 2])], lines[0], lines[-1])
        if len(known):
            inside ^= points_in_poly(places, known)
    return inside.reshape(len(lines), len(columns))


def _near_lines(ring: Array, first: int, last: int) -> Array:
    """Leave out vertices between others that lie on the same side of some lines: no line meets the edges there."""
    side = (ring[:, 1] > last + 1).astype(np.int8) - (ring[:, 1] < first - 1)
    between = (side != 0) & (side == np.roll(side, 1)) & (side == np.roll(side, -1))
    near: Array = ring[~between]
    return near


def _near(places: Array) -> Array:
    near: Array = np.clip(places, -FAR, FAR)
    return near


def _whole(places: Array) -> Array:
    """The nearest voxels; halves go to the even one, as NumPy and pandas round."""
    return _near(np.rint(places)).astype(np.int64)
