"""Measurement of the objects of a label image: sums over blocks merged by label, then a pass by object.

=========  ====================================================================================
measure    every block's objects: what can be added up, one row per object
objects    by object, where it is asked for: what needs all of an object, from its bounding box
=========  ====================================================================================

Reference, on each whole volume::

    skimage.measure.regionprops_table(labels, intensity_image, properties=(...))

Which column is which of its properties, and how equal, is in :mod:`chunkwise.ops.columns`. Integers are exact as
long as sums stay below 2**53, where float64 begins to round in scikit-image. For floating-point images the image
as float64 is meant (float32 it adds in float32).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import pi, prod
from types import MappingProxyType
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Box, Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.blocks.passes import BlockResult, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops import second
from chunkwise.ops.columns import (
    DEFAULT,
    INTENSITIES,
    PERCENTILES,
    PROPERTIES,
    Column,
    Objects,
    by_object,
    is_narrow,
    summands,
    table_columns,
    value_type,
)
from chunkwise.ops.euler import euler_numbers
from chunkwise.ops.moments import BlockMoments, add_euler, deviations, merge_rows, totals
from chunkwise.ops.object_boxes import ByObject, row_key
from chunkwise.ops.object_shapes import MOMENTS, SHAPES
from chunkwise.ops.row_files import RowFile, rows_bytes, sorted_batches
from chunkwise.storage.writer import put_object

__all__ = [
    "DEFAULT",
    "INTENSITIES",
    "PROPERTIES",
    "Column",
    "Measured",
    "columns",
    "intensity_sums",
    "measure",
    "memory_of",
    "table_columns",
]

Array = np.ndarray[Any, Any]

#: Bytes that a worker takes before it reads a voxel: Python, NumPy, tensorstore.
BASE = 300 * 2**20


@dataclass(frozen=True)
class Measured:
    """What is measured.

    Blocks of all volumes are numbered through: ``volume * grid.n_blocks + block``.
    """

    labels: VolumeSource
    channels: tuple[VolumeSource, ...]
    """Of the image, of the labels' shape; none where there is no image."""
    grid: Grid
    names: tuple[str, ...]
    """Of the channels, each another."""
    axes: str
    """Spatial axes, such as ``zyx``."""
    scale: tuple[float, ...]
    """Of a voxel, spatial axes only."""
    translation: tuple[float, ...]
    """Of the first voxel's centre, spatial axes only."""
    properties: tuple[str, ...] = DEFAULT
    """As :func:`chunkwise.ops.columns.choose` returns them."""
    percentiles: tuple[float, ...] = PERCENTILES
    """Of the intensity."""
    parents: bool = False
    """Whether the parent of each object is found, too."""

    @property
    def objects(self) -> Objects:
        """What the table's columns depend on."""
        values = value_type(self.channels[0].dtype) if self.channels else "f8"
        return Objects(self.axes, self.names, values, self.percentiles, self.parents)

    @property
    def n_blocks(self) -> int:
        """Blocks of all volumes."""
        return self.labels.volumes * self.grid.n_blocks


@dataclass(frozen=True)
class _MeasurePass:
    run: Run
    measured: Measured


def measure(measured: Measured, job: Job) -> Iterator[tuple[int, Array]]:
    """Measure every object of every volume.

    Parameters
    ----------
    measured : Measured
        What to measure.
    job : Job
        Where the work is done, and what is done already.

    Yields
    ------
    volume : int
        Index inside the cut, in rising order.
    rows : ndarray of :func:`chunkwise.ops.moments.row_type`
        One row an object, in the order of the labels; a volume comes in several batches, or in none. With what
        is measured by object there are its fields, too, and ``not_measured``.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    voxels = measured.labels.volumes * prod(measured.grid.shape)
    work = _MeasurePass(job.run, measured)
    grid = measured.grid
    found = map_pass(job, "measure", _measure_block, work, measured.n_blocks, voxels=voxels, grid=grid)
    count = grid.n_blocks

    def files(volume: int) -> list[RowFile]:
        numbers = range(volume * count, (volume + 1) * count)
        return [RowFile(job.run.path(row_key(number)), *found[number]) for number in numbers if number in found]

    whole = by_object(measured.properties)
    if whole:
        boxes = ByObject(measured.labels, measured.channels, measured.grid, whole, measured.percentiles, job)
        yield from boxes.measure(files)
        return
    for volume in range(measured.labels.volumes):
        for batch in sorted_batches(files(volume)):
            yield volume, merge_rows(batch)


def memory_of(grid: Grid, labels: str, image: str | None, properties: tuple[str, ...] = ()) -> int:
    """Project what a worker needs, in bytes: labels, the number of each voxel's object, one channel.

    Arrays count twice, as they are read and as they are laid out for the kernels; ``labels`` and ``image``
    are types. The Euler number needs the labels once more, with a rim of the neighbours'.
    """
    sizes = sum(np.dtype(dtype).itemsize for dtype in (labels, image) if dtype is not None)
    more = np.dtype(labels).itemsize if "euler" in summands(properties) else 0
    return projected_memory(grid, block=2 * sizes + 4 + more, base=BASE)


def _measure_block(work: _MeasurePass, number: int) -> BlockResult:
    measured = work.measured
    volume, block = divmod(number, measured.grid.n_blocks)
    box = measured.grid.block_box(block)
    more = summands(measured.properties)
    euler = None
    if "euler" in more:
        wide = _with_rim(measured, volume, box)
        if not wide.any():
            return BlockResult()
        euler = euler_numbers(wide)
        labels = wide[tuple(slice(1, 1 + part.stop - part.start) for part in box)]
        del wide
    else:
        labels = measured.labels.read(volume, box)
        if not labels.any():
            return BlockResult()
    values = None
    if measured.channels:
        values = value_type(measured.channels[0].dtype)
        more += ("narrow",) * is_narrow(measured.channels[0].dtype)
    moments = BlockMoments(labels, tuple(part.start for part in box), values, len(measured.channels), more)
    del labels
    rows = moments.rows
    if len(rows):
        for channel, source in enumerate(measured.channels):
            moments.add(channel, source.read(volume, box))
    if euler is not None:
        rows = add_euler(rows, *euler)
    if not len(rows):
        return BlockResult()
    stored = put_object(work.run.folder, row_key(number), rows_bytes(rows))
    return BlockResult((stored,), [len(rows), int(rows["label"][0])])


def _with_rim(measured: Measured, volume: int, box: Box) -> Array:
    """Labels of a box and of the voxels just before it; background where the volume ends, also behind its last."""
    shape = measured.grid.shape
    reach = tuple(slice(max(part.start - 1, 0), part.stop) for part in box)
    rims = [(int(part.start == 0), int(part.stop == size)) for part, size in zip(box, shape, strict=True)]
    return np.pad(measured.labels.read(volume, reach), rims)


def columns(
    measured: Measured,
    wanted: list[Column],
    volume: int,
    rows: Array,
    more: Mapping[str, Array] = MappingProxyType({}),
) -> dict[str, Array]:
    """Turn rows into the columns of the table, beside those that are known already.

    Returns
    -------
    dict
        Of each wanted column its values; a sum of integers that 64 bits do not hold makes an array of objects.
    """
    ndim = len(measured.axes)
    count = rows["count"]
    centroid = rows["coordinates"] / count[:, None]
    made: dict[str, Array] = {
        **more,
        "label": rows["label"],
        "t": np.full(len(rows), measured.labels.first_time + volume),
        "num_pixels": count,
        "area_physical": count * prod(measured.scale),
        "equivalent_diameter_area": _diameter(count, ndim),
        "extent": count / (rows["last"] - rows["first"] + 1).prod(axis=1),
    }
    for axis, name in enumerate(measured.axes):
        made[f"centroid-{axis}"] = centroid[:, axis]
        made[f"centroid_physical-{name}"] = measured.translation[axis] + measured.scale[axis] * centroid[:, axis]
        made[f"bbox-{axis}"] = rows["first"][:, axis]
        made[f"bbox-{ndim + axis}"] = rows["last"][:, axis] + 1
    names = rows.dtype.names or ()
    made |= {name: rows[name] for name in ("not_measured", *SHAPES) if name in names}
    for name in MOMENTS:
        if name in names:
            powers = [column.name for column in wanted if column.of == name]
            made |= dict(zip(powers, rows[name].reshape(len(rows), len(powers)).T, strict=True))
    if "euler" in names:
        made["euler_number"] = rows["euler"]
    if "products_high" in names:
        made |= _of_second_moments(rows)
    for number, name in enumerate(measured.names):
        made |= {f"{column}-{name}": values for column, values in _of_channel(measured, rows, number).items()}
    return {column.name: made[column.name] for column in wanted}


def _of_second_moments(rows: Array) -> dict[str, Array]:
    tensors = second.inertia(rows)
    values = second.eigenvalues(tensors)
    numbers = range(values.shape[1])
    longest, shortest = second.axes_lengths(values)
    made = {f"inertia_tensor-{a}-{b}": tensors[:, a, b] for a in numbers for b in numbers}
    made |= {f"inertia_tensor_eigvals-{axis}": values[:, axis] for axis in numbers}
    made |= {"axis_major_length": longest, "axis_minor_length": shortest}
    if len(numbers) == 2:
        made |= {"eccentricity": second.eccentricity(values), "orientation": second.orientation(tensors)}
    return made


def _of_channel(measured: Measured, rows: Array, number: int) -> dict[str, Array]:
    """Columns of one channel, without its name."""
    count, names = rows["count"], rows.dtype.names or ()
    total = totals(rows)[:, number]
    made = {
        "intensity_min": rows["min"][:, number],
        "intensity_max": rows["max"][:, number],
        "intensity_mean": total / count,
        "intensity_sum": intensity_sums(rows, number),
        "intensity_std": deviations(rows, number),
    }
    if "weighted" in names:
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where the sum is 0 there is no such place; it becomes nan, as in scikit-image.
            places = rows["weighted"][:, number] / total[:, None] + rows["corner"]
        made |= {f"centroid_weighted-{axis}": places[:, axis] for axis in range(places.shape[1])}
    if "intensity_median" in names:
        made["intensity_median"] = rows["intensity_median"][:, number]
    if "intensity_percentile" in names:
        for which, percentile in enumerate(measured.percentiles):
            made[f"intensity_percentile-{percentile:g}"] = rows["intensity_percentile"][:, number, which]
    return made


def _diameter(count: Array, ndim: int) -> Array:
    """Of the disk or ball with as many voxels; as plain Python numbers, whose powers are scikit-image's."""
    sizes, which = np.unique(count, return_inverse=True)
    return np.array([(2 * ndim * float(size) / pi) ** (1 / ndim) for size in sizes])[which]


def intensity_sums(rows: Array, number: int) -> Array:
    """Sums of each object's intensities in a channel; exact of integers, and Python's where 64 bits are too few."""
    if "sum" in (rows.dtype.names or ()):
        return np.asarray(rows["sum"][:, number])
    high, low = rows["high"][:, number], rows["low"][:, number]
    if len(rows) and (high.min() < -(2**31) or high.max() >= 2**31):
        return np.asarray(high.astype(object) * 2**32 + low.astype(object))
    return np.asarray(high * 2**32 + low)
