"""What a view shows: layers of one space, each with its resolutions, and how planes of them are read.

The space is that of the voxels that were chosen: plane z, row y and column x, counted from the corner of the cut.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil, floor, prod
from typing import Any

import numpy as np

from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.ngff.emptiness import share_of
from chunkwise.ngff.match import match_selections
from chunkwise.ngff.model import Channel, Image, Level
from chunkwise.ngff.pyramid import block_means
from chunkwise.ngff.read import open_image
from chunkwise.ngff.volumes import Selection, VolumeSource, select

__all__ = ["OVERVIEW", "Layer", "Sheet", "Window", "image_layer", "labels_layer", "labels_of_image", "window_of"]

Array = np.ndarray[Any, Any]

#: Rows and columns of a cut.
Window = tuple[slice, slice]

#: Pixels of the longer side that the coarsest resolution has at most.
OVERVIEW = 512

#: Channels that are shown; of more, the first ones.
MOST_CHANNELS = 8

#: Label images of one image that are shown.
MOST_LABELS = 4

#: Bytes that are decoded for one plane of the smallest level at most; of a larger one its middle is shown.
LARGEST_PLANE = 2**28

#: Bytes that are read at once.
AT_ONCE = 2**25


@dataclass(frozen=True)
class Sheet:
    """One resolution of a layer: a level of the store, or that level halved in y and x some times."""

    source: VolumeSource
    """Of the level, seen as planes (z, y, x)."""
    chunk: tuple[int, ...]
    """Of the level: z, y, x."""
    begin: tuple[int, ...]
    """Where the source begins in the level: z, y, x."""
    step: tuple[float, ...]
    """Voxels of the space that one pixel stands for: z, y, x."""
    offset: tuple[float, ...]
    """Where in the space the first pixel begins."""
    halvings: int = 0
    means: bool = True
    """Whether pixels are halved by their means; labels by every second one."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        height, width = (-(-n // 2**self.halvings) for n in self.source.shape[1:])
        return height, width

    @property
    def pixels(self) -> int:
        """How many there are."""
        return prod(self.shape)

    def halved(self) -> Sheet:
        """The next coarser one."""
        z, y, x = self.step
        return replace(self, step=(z, 2 * y, 2 * x), halvings=self.halvings + 1)

    def plane_of(self, z: int) -> int:
        """The plane of the source that shows a plane of the space."""
        return min(max(0, floor((z - self.offset[0]) / self.step[0])), self.source.shape[0] - 1)

    def cost(self, planes: Sequence[int]) -> int:
        """Bytes that are decoded for planes of one channel: chunks are decoded whole."""
        deep = {self._chunk_of(z) for z in planes}
        counts = [len(deep)]
        for begin, size, chunk in zip(self.begin[1:], self.source.shape[1:], self.chunk[1:], strict=True):
            counts.append(-(-(begin + size) // chunk) - begin // chunk)
        return prod(counts) * prod(self.chunk) * np.dtype(self.source.dtype).itemsize

    def read(self, channel: int, time: int, z: int, rows: slice, columns: slice) -> Array:
        """Read a part of a plane, in pixels of this sheet."""
        return np.asarray(self._slab(channel, time, [z], rows, columns)[0])

    def halve(self, pixels: Array) -> Array:
        """Make pixels of the next coarser sheet."""
        if self.means:
            return block_means(pixels, (2, 2))
        return np.asarray(pixels[::2, ::2])

    def planes(self, channel: int, time: int, wanted: Sequence[int]) -> Iterator[tuple[int, Array]]:
        """Read whole planes; neighbours that lie in the same chunks are read together."""
        (height, width), group = self.shape, list[int]()
        most = max(1, 4 * AT_ONCE // (self.pixels * np.dtype(self.source.dtype).itemsize))
        for z, following in zip(wanted, [*wanted[1:], None], strict=True):
            group.append(z)
            if following is not None and len(group) < most and self._chunk_of(z) == self._chunk_of(following):
                continue
            deep = abs(self.plane_of(group[-1]) - self.plane_of(group[0])) + 1
            wide = deep * width * 4**self.halvings * np.dtype(self.source.dtype).itemsize
            whole = max(1, self.chunk[1] // 2**self.halvings)
            rows = max(1, AT_ONCE // wide // whole) * whole
            starts = range(0, height, rows)
            parts = [
                self._slab(channel, time, group, slice(start, min(start + rows, height)), slice(0, width))
                for start in starts
            ]
            yield from zip(group, np.concatenate(parts, axis=1), strict=True)
            group = []

    def _chunk_of(self, z: int) -> int:
        return (self.begin[0] + self.plane_of(z)) // self.chunk[0]

    def _slab(self, channel: int, time: int, wanted: Sequence[int], rows: slice, columns: slice) -> Array:
        """Read a part of some planes that lie near each other."""
        source, n = replace(self.source, channel=channel), 2**self.halvings
        planes = [self.plane_of(z) for z in wanted]
        low, high = min(planes), max(planes) + 1
        ends = (
            slice(part.start * n, min(part.stop * n, size))
            for part, size in zip((rows, columns), self.source.shape[1:], strict=True)
        )
        voxels = source.read(time, (slice(low, high), *ends))
        pixels = [voxels[plane - low] for plane in planes]
        for _ in range(self.halvings):
            pixels = [self.halve(one) for one in pixels]
        return np.stack(pixels)


@dataclass(frozen=True)
class Layer:
    """An image or a label image over the space."""

    name: str
    kind: str
    """``image`` or ``labels``."""
    sheets: tuple[Sheet, ...]
    """From coarse to fine."""
    channels: tuple[Channel, ...]
    left_out: tuple[str, ...] = ()
    classes: Mapping[str, str] = field(default_factory=dict)
    """Of labels that are told apart by more than their number: colours by the names of classes."""
    class_of: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """Class by time point (of the cut) and number."""


def image_layer(selection: Selection, window: Window | None = None) -> Layer:
    """Show what was selected of an image: its channels, the first ones of many."""
    numbers = selection.channels[:MOST_CHANNELS]
    channels = tuple(selection.image.channels[number] for number in numbers)
    count = len(selection.channels)
    left = (f"Of {count} channels the first {len(numbers)} are shown.",) if len(numbers) < count else ()
    return Layer(selection.image.name, "image", _sheets(selection, None, window), channels, left)


def labels_layer(
    selection: Selection, name: str, source: VolumeSource | None = None, window: Window | None = None
) -> Layer:
    """Show labels; ``source`` is how they are seen, where that is not as they are stored."""
    channel = Channel(selection.channels[0], name)
    return Layer(name, "labels", _sheets(selection, source, window), (channel,))


def labels_of_image(selection: Selection, window: Window | None) -> tuple[list[Layer], list[str]]:
    """Show the label images that lie in an image, if their voxels are the image's; else say why not.

    Returns
    -------
    layers : list of Layer
        The first ones of many.
    remarks : list of str
        Sentences on those that are not shown.
    """
    image, layers, remarks = selection.image, list[Layer](), list[str]()
    for name in image.labels:
        if len(layers) == MOST_LABELS:
            remarks.append(f"Of {len(image.labels)} label images the first {MOST_LABELS} are shown.")
            break
        try:
            found = open_image(image.location.child("labels").child(name))
            if found.levels[0].dtype.startswith("float"):
                raise InputError(f"it holds {found.levels[0].dtype} voxels.")
            labels = select(found)
            source, _ = match_selections(selection, labels)
            layers.append(labels_layer(labels, name, source, window))
        except ChunkwiseError as error:
            remarks.append(f"The label image {name} is not shown: {error}")
    return layers, remarks


def window_of(selection: Selection) -> Window | None:
    """The middle of an image whose smallest level is too large to be read; None where it is not."""
    sheets = _sheets(selection, None, None)
    smallest = min((sheet for sheet in sheets if not sheet.halvings), key=lambda sheet: sheet.pixels)
    cost = smallest.cost([0]) * min(len(selection.channels), MOST_CHANNELS)
    if cost <= LARGEST_PLANE:
        return None
    share = (LARGEST_PLANE / cost) ** 0.5
    edges = []
    for size in selection.source.shape[-2:]:
        edge = max(1, int(size * share))
        edges.append(slice((size - edge) // 2, (size - edge) // 2 + edge))
    return edges[0], edges[1]


def _sheets(selection: Selection, source: VolumeSource | None, window: Window | None) -> tuple[Sheet, ...]:
    """The resolutions of a selection, from coarse to fine."""
    if window is not None:
        selection = _cut(selection, window)
    image, seen = selection.image, (source or selection.source).seen("zyx")
    fine = [_sheet(selection, seen, selection.level)]
    start = image.levels.index(selection.level)
    for level in image.levels[start + 1 :]:
        sheet = _sheet(selection, seen, level)
        if sheet.pixels < fine[-1].pixels and not _is_empty(image, level):
            fine.append(sheet)
    while max(fine[-1].shape) > OVERVIEW:
        fine.append(fine[-1].halved())
    return tuple(reversed(fine))


def _cut(selection: Selection, window: Window) -> Selection:
    """Cut a selection to rows and columns of it."""
    source = selection.source
    origin = (*source.origin[:-2], source.origin[-2] + window[0].start, source.origin[-1] + window[1].start)
    shape = (*source.shape[:-2], window[0].stop - window[0].start, window[1].stop - window[1].start)
    return replace(selection, source=replace(source, origin=origin, shape=shape))


def _is_empty(image: Image, level: Level) -> bool:
    """Whether nothing of a level was copied; of labels, small objects may be gone from it."""
    share = share_of(image, level.path)
    return share is not None and not share.found and image.kind == "image"


def _sheet(selection: Selection, seen: VolumeSource, level: Level) -> Sheet:
    """Cut a level of the image as the selection cuts its own."""
    image, own = selection.image, selection.level
    begin, shape, step, offset, chunk, origin = [], [], [], [], [], []
    starts = iter(selection.source.origin)
    sizes = dict(zip(selection.source.spatial, selection.source.shape, strict=True))
    places = {
        axis: (own.shape[i], level.shape[i], own.scale[i], level.scale[i], level.chunks[i])
        for i, axis in enumerate(image.axis_names)
    }
    for axis in image.spatial:
        whole, there, scale, other, cells = places[axis]
        factor = _factor(whole / there, other / scale)
        start, size = next(starts), sizes[axis]
        low = min(floor(start / factor), there - 1)
        high = min(max(low + 1, ceil((start + size) / factor)), there)
        origin.append(low)
        begin.append(low)
        shape.append(high - low)
        step.append(factor)
        offset.append(low * factor - start)
        chunk.append(cells)
    missing = 3 - len(shape)  # a plane has one z
    source = replace(
        seen,
        array=image.location.child(level.path),
        origin=tuple(origin),
        shape=(1,) * missing + tuple(shape),
        dtype="uint8" if level.dtype == "bool" else level.dtype,
    )
    return Sheet(
        source,
        (1,) * missing + tuple(chunk),
        (0,) * missing + tuple(begin),
        (1.0,) * missing + tuple(step),
        (0.0,) * missing + tuple(offset),
        means=image.kind == "image",
    )


def _factor(by_shape: float, by_scale: float) -> float:
    """How much coarser a level is: by its scale, which is not rounded as its shape is, unless they contradict."""
    return by_scale if abs(by_scale / by_shape - 1) < 0.1 else by_shape
