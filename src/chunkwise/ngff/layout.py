"""How an output store is laid out: shards, levels of the pyramid, metadata documents.

All of it is a pure function of shape, dtype and axes (and of ``--shard``; of labels inside their image's
store, also of the image's levels), never of blocks, workers, time or version: the same result always has the
same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.attributes import merge
from chunkwise.ngff.model import Axis, Image, Level
from chunkwise.ngff.volumes import Selection
from chunkwise.storage.arrays import Box
from chunkwise.storage.location import Location
from chunkwise.storage.writer import ArrayLayout, StoredObject, json_bytes, put_object

__all__ = ["OutputImage", "levels_like", "output_like", "shard_of", "write_documents"]

#: Voxels of a shard: few files, and a worker can hold several in a gigabyte.
SHARD_VOXELS = 2**24
CHUNK_3D = 64
CHUNK_2D = 512

#: How levels are made of the level before, as their metadata say it.
DOWNSAMPLING = {
    "nearest": "every second voxel of the level before",
    "mean": "mean of up to 2 voxels along each axis of the level before; integers are rounded, halves upwards",
}

FURTHER_APART = "every n-th voxel of the level before, where n is how their scales differ"

#: The pyramid ends where the longest spatial axis is no longer than this.
SMALLEST_LEVEL = 256

#: Levels of labels follow those of their image as long as it went from one to the next by no more than this.
LARGEST_FACTOR = 8


def shard_of(shape: tuple[int, ...], requested: tuple[int, ...] | None = None) -> tuple[tuple[int, ...], ...]:
    """Choose chunks and shards of a volume.

    Parameters
    ----------
    shape : tuple of int
        Of the volume: spatial axes only.
    requested : tuple of int, optional
        Shard as asked for by ``--shard``; chunks then divide it.

    Returns
    -------
    chunks, shards : tuple of int
        Spatial axes only.

    Raises
    ------
    InputError
        If the requested shard does not fit the axes.
    """
    if requested is not None:
        if len(requested) != len(shape) or min(requested) < 1:
            raise InputError(f"--shard needs {len(shape)} sizes of 1 or more, one for each spatial axis.")
        preferred = CHUNK_2D if len(shape) == 2 else CHUNK_3D
        return tuple(_divisor(size, preferred) for size in requested), requested
    edge = CHUNK_2D if len(shape) == 2 else CHUNK_3D
    # A thin axis gets a thin chunk, and the others grow until the chunk has its usual number of voxels.
    chunks = [min(edge, _power_above(size)) for size in shape]
    for axis in reversed(range(len(shape))):
        while prod(chunks) * 2 <= edge ** len(shape) and chunks[axis] < min(_power_above(shape[axis]), 512):
            chunks[axis] *= 2
    shards = list(chunks)
    grown = True
    while grown:
        grown = False
        # The smallest edge grows first, the last axis last, so that shards are as cubic as the volume allows.
        for axis in sorted(range(len(shape)), key=lambda axis: shards[axis]):
            if shards[axis] < shape[axis] and prod(shards) * 2 <= SHARD_VOXELS:
                shards[axis] *= 2
                grown = True
                break
    return tuple(chunks), tuple(shards)


def _power_above(size: int) -> int:
    return 1 << max(0, size - 1).bit_length()


def _divisor(size: int, preferred: int) -> int:
    """The largest divisor of a shard's edge that is no larger than the preferred chunk's."""
    return next(d for d in range(min(size, preferred), 0, -1) if size % d == 0)


@dataclass(frozen=True)
class OutputImage:
    """A multiscale image or label image to be written.

    Tuples follow ``axes``, the axes of the source.
    """

    name: str
    axes: tuple[Axis, ...]
    shape: tuple[int, ...]
    dtype: str
    scale: tuple[float, ...]
    translation: tuple[float, ...]
    labels: bool
    shard: tuple[int, ...] | None = None
    """As asked for, spatial axes only."""
    omero: dict[str, Any] | None = None
    pyramid: bool = True
    """Whether smaller levels are written."""
    source_image: str | None = None
    """Of labels that lie inside their image's store: the image, relative to the labels."""
    downsampling: str = "nearest"
    """``nearest``: every second voxel; ``mean``: the mean of the voxels that a lower one stands for."""
    level_shapes: tuple[tuple[int, ...], ...] | None = None
    """Spatial shapes of all levels, where they are not for this class to choose: see :func:`levels_like`."""
    about: dict[str, Any] | None = None
    """What chunkwise itself has to say of the image, beside what OME-Zarr knows: the attribute ``chunkwise``."""
    attached: Mapping[str, bytes] = field(default_factory=dict)
    """Documents that stand beside the image as they are, by their keys, such as a file's OME-XML."""
    placed: bool = False
    """Whether the place is known, so that 0 is said, too."""
    prefix: str = ""
    """Where in the store it lies: nothing, or a path that ends with ``/``."""
    carried: Mapping[str, Any] = field(default_factory=dict)
    """Attributes of the image that it is made from, as :func:`chunkwise.ngff.beside.attributes_of` gives them."""

    def _is_space(self) -> tuple[bool, ...]:
        return tuple(axis.type == "space" for axis in self.axes)

    def volume_shape(self, level: int) -> tuple[int, ...]:
        """Spatial shape of a level: every second voxel of the one before, along axes that still are long."""
        if self.level_shapes is not None:
            return self.level_shapes[level]
        shape = tuple(n for n, space in zip(self.shape, self._is_space(), strict=True) if space)
        for _ in range(level):
            shape = tuple(-(-n // f) for n, f in zip(shape, self.factors(shape), strict=True))
        return shape

    @staticmethod
    def factors(shape: tuple[int, ...]) -> tuple[int, ...]:
        """Downsampling from a level of this spatial shape to the next: 2, but thin axes keep their voxels."""
        longest = max(shape)
        return tuple(2 if n > SMALLEST_LEVEL or n * 4 > longest else 1 for n in shape)

    def factors_to(self, level: int) -> tuple[int, ...]:
        """Downsampling from the level before to this one; spatial axes only."""
        above, below = self.volume_shape(level - 1), self.volume_shape(level)
        factors = _whole_factors(above, below)
        assert factors is not None
        return factors

    @property
    def n_levels(self) -> int:
        """Number of levels, the full one included."""
        if self.level_shapes is not None and self.pyramid:
            return len(self.level_shapes)
        count = 1
        while self.pyramid and max(self.volume_shape(count - 1)) > SMALLEST_LEVEL:
            count += 1
        return count

    @property
    def n_volumes(self) -> int:
        """Number of time points times number of channels; channels come first: volume ``t * channels + c``."""
        return self._length("t") * self._length("c")

    def _length(self, name: str) -> int:
        return next((n for n, axis in zip(self.shape, self.axes, strict=True) if axis.name == name), 1)

    @property
    def first_spatial(self) -> int:
        """Position of the first spatial axis."""
        return self._is_space().index(True)

    def place_box(self, volume: int, box: Box) -> Box:
        """Where a box of a volume lies in the arrays, all axes."""
        time, channel = divmod(volume, self._length("c"))
        others = tuple(slice(time, time + 1) if axis.name == "t" else slice(channel, channel + 1) for axis in self.axes)
        return self._spread(box, others)

    def place(self, volume: int, box: Box, data: np.ndarray[Any, Any]) -> tuple[Box, np.ndarray[Any, Any]]:
        """The same, with the voxels given the array's axes."""
        full = self.place_box(volume, box)
        return full, data.reshape(tuple(part.stop - part.start for part in full))

    def layout(self, level: int) -> ArrayLayout:
        """Layout of a level's array, all axes."""
        volume = self.volume_shape(level)
        chunks, shards = shard_of(volume, self.shard)
        return ArrayLayout(
            self._spread(volume, self.shape),
            self.dtype,
            self._spread(chunks, (1,) * len(self.shape)),
            self._spread(shards, (1,) * len(self.shape)),
            tuple(axis.name for axis in self.axes),
        )

    def _spread(self, spatial: tuple[Any, ...], others: tuple[Any, ...]) -> tuple[Any, ...]:
        """Put values of the spatial axes among those of all axes."""
        values = iter(spatial)
        return tuple(next(values) if space else other for space, other in zip(self._is_space(), others, strict=True))

    def document(self) -> dict[str, Any]:
        """The group's ``zarr.json``."""
        datasets = []
        far = any(max(self.factors_to(level)) > 2 for level in range(1, self.n_levels))
        for level in range(self.n_levels):
            factor = [1] * len(self.volume_shape(0))
            for above in range(level):
                factor = [f * g for f, g in zip(factor, self.factors_to(above + 1), strict=True)]
            ones = (1,) * len(self.axes)
            scale = [s * f for s, f in zip(self.scale, self._spread(tuple(factor), ones), strict=True)]
            translation = list(self.translation)
            if self.downsampling == "mean":
                # Nearest keeps voxel 0 where it was; a mean lies in the middle of its voxels.
                translation = [t + (wide - s) / 2 for t, wide, s in zip(translation, scale, self.scale, strict=True)]
            transformations: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
            if any(translation) or self.placed:
                transformations.append({"type": "translation", "translation": translation})
            datasets.append({"path": str(level), "coordinateTransformations": transformations})
        axes = []
        for axis in self.axes:
            entry = {"name": axis.name, "type": axis.type}
            if axis.unit is not None:
                entry["unit"] = axis.unit
            axes.append(entry)
        ome: dict[str, Any] = {
            "version": "0.5",
            "multiscales": [
                {
                    "name": self.name,
                    "axes": axes,
                    "datasets": datasets,
                    "type": self.downsampling,
                    "metadata": {"description": FURTHER_APART if far else DOWNSAMPLING[self.downsampling]},
                }
            ],
        }
        if self.labels:
            ome["image-label"] = {"source": {"image": self.source_image}} if self.source_image else {}
        if self.omero is not None:
            ome["omero"] = self.omero
        own = {} if self.about is None else {"chunkwise": self.about}
        theirs = dict(self.carried)
        if self.omero is None:  # what there is to say of channels needs channels that are known
            theirs["ome"] = {name: value for name, value in theirs.get("ome", {}).items() if name != "omero"}
        return {"zarr_format": 3, "node_type": "group", "attributes": merge({"ome": ome, **own}, theirs)}


def output_like(
    selection: Selection, name: str, dtype: str, *, labels: bool = False, channels: int | None = None, **layout: Any
) -> OutputImage:
    """Lay out what is made of a selection: its axes, size and place.

    Parameters
    ----------
    selection : Selection
        What is read.
    name : str
        Of the multiscale.
    dtype : str
        Of the voxels that are written.
    labels : bool
        Whether it is a label image.
    channels : int, optional
        How many are written, where they are not those that are read; an axis is put in where the image has none.
    **layout
        Further fields of :class:`OutputImage`.
    """
    image = selection.image
    axes, shape, scale = image.axes, selection.cut_shape, selection.level.scale
    translation = selection.translation
    if channels is not None:
        if not any(axis.type == "channel" for axis in axes):
            at = sum(axis.type == "time" for axis in axes)
            axes = (*axes[:at], Axis("c", "channel"), *axes[at:])
            shape, scale, translation = (
                (*values[:at], one, *values[at:]) for values, one in ((shape, 1), (scale, 1.0), (translation, 0.0))
            )
        made = [axis.type == "channel" for axis in axes]
        shape = tuple(channels if c else n for c, n in zip(made, shape, strict=True))
        scale = tuple(1.0 if c else n for c, n in zip(made, scale, strict=True))
        translation = tuple(0.0 if c else n for c, n in zip(made, translation, strict=True))
    return OutputImage(name, axes, shape, dtype, scale, translation, labels, placed=image.placed, **layout)


def levels_like(image: Image, level: Level, shape: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    """Choose levels for labels that lie inside their image's store: as many as the image has, and of the same shapes.

    The shapes are the image's, from the level that was read on, as long as each follows from the one before by whole
    factors. Where it does not, where a region was cut, and where the image has no more levels, levels are halved as
    those of any other store.

    Parameters
    ----------
    image : Image
        The image.
    level : Level
        Which of its levels was read.
    shape : tuple of int
        Of the labels' full resolution, spatial axes only.

    Returns
    -------
    tuple of tuple of int
        Spatial shapes, the full resolution first.
    """
    space = [axis.type == "space" for axis in image.axes]
    wanted = [tuple(n for n, is_space in zip(other.shape, space, strict=True) if is_space) for other in image.levels]
    wanted = wanted[image.levels.index(level) :]
    shapes = [shape]
    if wanted[0] == shape:
        for here in wanted[1:]:
            if _whole_factors(shapes[-1], here) is None:
                break
            shapes.append(here)
    while len(shapes) < len(image.levels):
        above = shapes[-1]
        shapes.append(tuple(-(-n // f) for n, f in zip(above, OutputImage.factors(above), strict=True)))
    return tuple(shapes)


def _whole_factors(above: tuple[int, ...], below: tuple[int, ...]) -> tuple[int, ...] | None:
    """Find whole factors by which every n-th voxel of a shape gives the other; a last voxel without partner may go."""
    factors = []
    for n, m in zip(above, below, strict=True):
        near = round(n / m)
        fitting = [f for f in (near, near - 1, near + 1) if 1 <= f <= LARGEST_FACTOR and m in (-(-n // f), n // f)]
        if not fitting:
            return None
        factors.append(fitting[0])
    return tuple(factors)


def write_documents(place: str | Location, image: OutputImage) -> list[StoredObject]:
    """Write the metadata documents of a store; the voxels were written by passes.

    The root's document comes last: where a store grows under its own name, it is what makes a store of it.
    """
    written = [put_object(place, key, content) for key, content in image.attached.items()]
    for level in range(image.n_levels):
        key = f"{image.prefix}{level}/zarr.json"
        written.append(put_object(place, key, json_bytes(image.layout(level).document())))
    return [*written, put_object(place, f"{image.prefix}zarr.json", json_bytes(image.document()))]
