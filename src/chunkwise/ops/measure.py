"""Measurement of the objects of a label image: a map pass, and a merge by label.

Reference, on each whole volume::

    skimage.measure.regionprops_table(labels, intensity_image, properties=(
        "label", "num_pixels", "centroid", "bbox", "equivalent_diameter_area",
        "intensity_mean", "intensity_min", "intensity_max", "intensity_std"))

Counts, boxes, centroids, and the smallest, largest, summed and mean intensities of integer images are
the same to the bit (as long as sums stay below 2**53, where float64 begins to round in scikit-image);
standard deviations, and sums and means of floating-point images, up to 1e-9 of what scikit-image gives
for the image as float64 (for float32 itself it adds in float32).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import pi, prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.passes import BlockResult, Executor, Workers, map_pass
from chunkwise.blocks.run import Run
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.moments import BlockMoments, merge_rows, totals, value_type
from chunkwise.ops.row_files import RowFile, rows_bytes, sorted_batches
from chunkwise.storage.writer import put_object

__all__ = ["INTENSITIES", "PROPERTIES", "Column", "Measured", "columns", "measure", "projected_memory", "table_columns"]

Array = np.ndarray[Any, Any]

#: What can be measured without an image, and what with one.
PROPERTIES = ("num_pixels", "area_physical", "centroid", "centroid_physical", "bbox", "equivalent_diameter_area")
INTENSITIES = ("intensity_mean", "intensity_min", "intensity_max", "intensity_sum", "intensity_std")


#: Bytes that a worker takes before it reads a voxel: Python, NumPy, numba, tensorstore.
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

    @property
    def n_blocks(self) -> int:
        """Blocks of all volumes."""
        return self.labels.volumes * self.grid.n_blocks


@dataclass(frozen=True)
class _Work:
    run: Run
    measured: Measured


def measure(measured: Measured, executor: Executor, run: Run, workers: Workers) -> Iterator[tuple[int, Array]]:
    """Measure every object of every volume.

    Parameters
    ----------
    measured : Measured
        What to measure.
    executor, run, workers
        Where the work is done, what is done already, who takes in what was used.

    Yields
    ------
    volume : int
        Index inside the cut, in rising order.
    rows : ndarray of :func:`chunkwise.ops.moments.row_type`
        One row an object, in the order of the labels; a volume comes in several batches, or in none.

    Raises
    ------
    InputError
        If voxels cannot be read.
    ResumableError
        If the run stopped in the middle.
    """
    voxels = measured.labels.volumes * prod(measured.grid.shape)
    work = _Work(run, measured)
    found = map_pass(executor, run, "measure", _measure_block, work, measured.n_blocks, voxels=voxels, workers=workers)
    count = measured.grid.n_blocks
    for volume in range(measured.labels.volumes):
        numbers = range(volume * count, (volume + 1) * count)
        files = [RowFile(run.path(_key(number)), *found[number]) for number in numbers if number in found]
        for batch in sorted_batches(files):
            yield volume, merge_rows(batch)


def projected_memory(grid: Grid, labels: str, image: str | None) -> int:
    """Bytes that a worker needs at most: labels, the number of each voxel's object, one channel.

    Arrays count twice, as they are read and as they are laid out for the kernels; ``labels`` and ``image``
    are types.
    """
    sizes = sum(np.dtype(dtype).itemsize for dtype in (labels, image) if dtype is not None)
    return BASE + prod(grid.block) * (2 * sizes + 4)


def _measure_block(work: _Work, number: int) -> BlockResult:
    measured = work.measured
    volume, block = divmod(number, measured.grid.n_blocks)
    box = measured.grid.block_box(block)
    labels = measured.labels.read(volume, box)
    if not labels.any():
        return BlockResult()
    values = value_type(measured.channels[0].dtype) if measured.channels else None
    moments = BlockMoments(labels, tuple(part.start for part in box), values, len(measured.channels))
    del labels
    rows = moments.rows
    if not len(rows):
        return BlockResult()
    for channel, source in enumerate(measured.channels):
        moments.add(channel, source.read(volume, box))
    stored = put_object(work.run.folder, _key(number), rows_bytes(rows))
    return BlockResult((stored,), [len(rows), int(rows["label"][0])])


def _key(number: int) -> str:
    return f"scratch/rows/{number // 1000}/{number}.npy"


@dataclass(frozen=True)
class Column:
    """One column of the table."""

    name: str
    of: str
    """The property it belongs to."""
    type: str
    """``i8``, ``u8`` or ``f8``."""


def table_columns(measured: Measured, properties: tuple[str, ...]) -> list[Column]:
    """The table's columns: label and time point, then what was asked for, in a fixed order."""
    ndim = len(measured.axes)
    names = {name: [name] for name in ("num_pixels", "area_physical", "equivalent_diameter_area")}
    names["centroid"] = [f"centroid-{axis}" for axis in range(ndim)]
    names["centroid_physical"] = [f"centroid_physical-{axis}" for axis in measured.axes]
    names["bbox"] = [f"bbox-{side}" for side in range(2 * ndim)]
    found = [Column("label", "label", "u8"), Column("t", "t", "i8")]
    for of in PROPERTIES:
        if of in properties:
            found += [Column(name, of, "i8" if of in ("num_pixels", "bbox") else "f8") for name in names[of]]
    values = value_type(measured.channels[0].dtype) if measured.channels else ""
    for channel in measured.names:
        for of in INTENSITIES:
            if of in properties:
                exact = of not in ("intensity_mean", "intensity_std")
                found.append(Column(f"{of}-{channel}", of, values if exact else "f8"))
    return found


def columns(measured: Measured, wanted: list[Column], volume: int, rows: Array) -> dict[str, Array]:
    """Turn rows into the columns of the table.

    Returns
    -------
    dict
        Of each wanted column its values; a sum of integers that 64 bits do not hold makes an array of objects.
    """
    ndim = len(measured.axes)
    count = rows["count"]
    centroid = rows["coordinates"] / count[:, None]
    made: dict[str, Array] = {
        "label": rows["label"],
        "t": np.full(len(rows), measured.labels.first_time + volume),
        "num_pixels": count,
        "area_physical": count * prod(measured.scale),
        "equivalent_diameter_area": _diameter(count, ndim),
    }
    for axis, name in enumerate(measured.axes):
        made[f"centroid-{axis}"] = centroid[:, axis]
        made[f"centroid_physical-{name}"] = measured.translation[axis] + measured.scale[axis] * centroid[:, axis]
        made[f"bbox-{axis}"] = rows["first"][:, axis]
        made[f"bbox-{ndim + axis}"] = rows["last"][:, axis] + 1
    for number, name in enumerate(measured.names):
        made[f"intensity_min-{name}"] = rows["min"][:, number]
        made[f"intensity_max-{name}"] = rows["max"][:, number]
        made[f"intensity_mean-{name}"] = totals(rows)[:, number] / count
        made[f"intensity_sum-{name}"] = _exact_sum(rows, number)
        # Rounding may leave a little less than nothing.
        made[f"intensity_std-{name}"] = np.sqrt(np.maximum(rows["squares"][:, number], 0) / count)
    return {column.name: made[column.name] for column in wanted}


def _diameter(count: Array, ndim: int) -> Array:
    """Of the disk or ball with as many voxels; as plain Python numbers, whose powers are scikit-image's."""
    sizes, which = np.unique(count, return_inverse=True)
    return np.array([(2 * ndim * float(size) / pi) ** (1 / ndim) for size in sizes])[which]


def _exact_sum(rows: Array, number: int) -> Array:
    if "sum" in (rows.dtype.names or ()):
        return np.asarray(rows["sum"][:, number])
    high, low = rows["high"][:, number], rows["low"][:, number]
    if len(rows) and (high.min() < -(2**31) or high.max() >= 2**31):
        return np.asarray(high.astype(object) * 2**32 + low.astype(object))
    return np.asarray(high * 2**32 + low)
