"""Volumes: the spatial array of one time point and one channel, which operations are defined on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.model import Axis, Image, Level
from chunkwise.storage.arrays import Box, open_array, unreadable_objects
from chunkwise.storage.location import Location

__all__ = ["EVERY", "Geometry", "Selection", "VolumeSource", "cut_of", "parse_region", "parse_time", "select"]

#: Every channel of an image.
EVERY: Final[tuple[str, ...]] = ()


@dataclass(frozen=True)
class VolumeSource:
    """Where a worker reads voxels from: a cut of one level, seen as volumes over time.

    Small and picklable; the array is opened by the process that reads.
    """

    array: Location
    axes: str
    """Of the stored array, such as ``tczyx``."""
    channel: int
    origin: tuple[int, ...]
    """Where the cut begins, spatial axes of the stored array only, in voxels of the level."""
    shape: tuple[int, ...]
    """Of one volume: the spatial axes of the cut."""
    first_time: int
    volumes: int
    """Number of time points in the cut."""
    dtype: str
    """Of the voxels that are read."""
    seen_as: str | None = None
    """Spatial axes of the volumes, where they are not those of the stored array: an axis of length 1 came or went."""
    still: int | None = None
    """The stored time point that is read at every time, where there is one for all."""

    def read(self, volume: int, box: Box) -> np.ndarray[Any, Any]:
        """Read a box of one volume.

        Parameters
        ----------
        volume : int
            Index of the time point inside the cut.
        box : tuple of slice
            One slice a spatial axis, relative to the cut.

        Returns
        -------
        ndarray
            With the spatial axes only, C-contiguous, in native byte order.
        """
        data: np.ndarray[Any, Any] = self.read_channels(volume, box, 1)[0]
        return data

    def read_channels(self, volume: int, box: Box, count: int) -> np.ndarray[Any, Any]:
        """Read the same box of several channels at once, from the source's own on; channels are the first axis."""
        stored = self._stored(slice(volume, volume + 1), box, count)
        try:
            data = open_array(self.array).read(stored)
        except InputError as error:
            error.unread = unreadable_objects(self.array, stored)
            raise
        if data.dtype == bool:
            # Whatever byte stands for true, true is 1.
            data = (data.view(np.uint8) != 0).view(self.dtype)
        return np.ascontiguousarray(data.reshape((count, *(part.stop - part.start for part in box))))

    @property
    def stored(self) -> Box:
        """The box of the stored array, all axes, in which all that can be read lies."""
        return self._stored(slice(0, self.volumes), self.bounds)

    def _stored(self, volumes: slice, box: Box, channels: int = 1) -> Box:
        if self.still is None:
            times = slice(self.first_time + volumes.start, self.first_time + volumes.stop)
        else:
            times = slice(self.still, self.still + 1)
        asked = dict(zip(self.spatial, box, strict=True))
        begin = iter(self.origin)
        full = []
        for axis in self.axes:
            if axis == "t":
                full.append(times)
            elif axis == "c":
                full.append(slice(self.channel, self.channel + channels))
            else:
                start, part = next(begin), asked.get(axis, slice(0, 1))
                full.append(slice(start + part.start, start + part.stop))
        return tuple(full)

    @property
    def spatial(self) -> str:
        """Spatial axes of the volumes, such as ``zyx``."""
        return self.seen_as or "".join(axis for axis in self.axes if axis in "zyx")

    def seen(self, axes: str) -> VolumeSource:
        """The same voxels as volumes of other spatial axes, where those that come or go have length 1."""
        sizes = dict(zip(self.spatial, self.shape, strict=True))
        return replace(self, shape=tuple(sizes.get(axis, 1) for axis in axes), seen_as=axes)

    @property
    def as_numbers(self) -> VolumeSource:
        """The same voxels as numbers: a mask's are 0 and 1."""
        return replace(self, dtype="uint8") if self.dtype == "bool" else self

    @property
    def bounds(self) -> Box:
        """The box of a whole volume."""
        return tuple(slice(0, size) for size in self.shape)


@dataclass(frozen=True)
class Geometry:
    """Size and place of voxels: spatial axes only, in their order."""

    scale: tuple[float, ...]
    origin: tuple[float, ...]
    """Of the first voxel."""
    units: tuple[str | None, ...]


@dataclass(frozen=True)
class Selection:
    """What ``--level``, ``--channel``, ``--time`` and ``--region`` chose of an image."""

    image: Image
    level: Level
    source: VolumeSource
    """Of the first channel."""
    channels: tuple[int, ...]

    @property
    def sources(self) -> tuple[VolumeSource, ...]:
        """One a channel."""
        return tuple(replace(self.source, channel=channel) for channel in self.channels)

    @property
    def channel_names(self) -> list[str]:
        """Of the channels, as the image has them."""
        return [self.image.channels[channel].name for channel in self.channels]

    @property
    def spatial_scale(self) -> tuple[float, ...]:
        """Units a voxel, spatial axes only."""
        return tuple(s for s, axis in zip(self.level.scale, self.image.axes, strict=True) if axis.type == "space")

    @property
    def spatial_axes(self) -> tuple[Axis, ...]:
        """The spatial axes, with their units."""
        return tuple(axis for axis in self.image.axes if axis.type == "space")

    @property
    def translation(self) -> tuple[float, ...]:
        """Of the cut, all axes of the image: the level's, moved by where the cut begins."""
        begin = iter(self.source.origin)
        moved = []
        for axis, scale, offset in zip(self.image.axes, self.level.scale, self.level.translation, strict=True):
            index = self.source.first_time if axis.name == "t" else 0 if axis.name == "c" else next(begin)
            moved.append(offset + index * scale)
        return tuple(moved)

    @property
    def geometry(self) -> Geometry:
        """Size and place of the cut's voxels."""
        axes = self.image.axes
        origin = tuple(o for o, axis in zip(self.translation, axes, strict=True) if axis.type == "space")
        return Geometry(self.spatial_scale, origin, tuple(axis.unit for axis in self.spatial_axes))

    @property
    def cut_shape(self) -> tuple[int, ...]:
        """Of the cut, all axes of the image."""
        size = iter(self.source.shape)
        sizes = {"t": self.source.volumes, "c": len(self.channels)}
        return tuple(sizes[axis.name] if axis.name in sizes else next(size) for axis in self.image.axes)


def select(
    image: Image,
    level: int | str = 0,
    channel: str | Sequence[str] | None = None,
    time: str | None = None,
    region: str | None = None,
) -> Selection:
    """Turn the options that every command shares into what to read.

    Parameters
    ----------
    image : Image
        An opened image or label image.
    level : int or str
        Index or path of the resolution; 0 is the full one.
    channel : str or sequence of str, optional
        Name or index; needed where the image has several. Of a sequence each, in that order; of :data:`EVERY` all.
    time : str, optional
        ``N`` or the half-open ``A:B``.
    region : str, optional
        ``z0:z1,y0:y1,x0:x1`` in voxels of the level, half-open; an empty bound means the image's edge.

    Raises
    ------
    InputError
        If what was asked for is not there, in part or at all.
    """
    chosen = _level(image, level)
    cut = cut_of(image, chosen, time, region)
    count = dict(zip(image.axis_names, chosen.shape, strict=True)).get("c", 1)
    if channel is EVERY:
        channels = tuple(range(count))
    else:
        names = [channel] if channel is None or isinstance(channel, str) else channel
        channels = tuple(_channel(image, name, count) for name in names)
    if len(set(channels)) < len(channels):
        raise InputError(f"--channel names the same channel of {image.location.address} more than once.")
    open_array(cut.array)  # an unknown codec is an error here, once, and not one of every block
    return Selection(image, chosen, replace(cut, channel=channels[0]), channels)


def cut_of(image: Image, level: Level, time: str | None, region: str | None) -> VolumeSource:
    """The cut of a level that ``--time`` and ``--region`` choose, of its first channel; errors as of :func:`select`."""
    sizes = dict(zip(image.axis_names, level.shape, strict=True))
    first, last = parse_time(time, sizes.get("t", 1))
    bounds = parse_region(region, image.spatial, tuple(sizes[axis] for axis in image.spatial))
    return VolumeSource(
        array=image.location.child(level.path),
        axes=image.axis_names,
        channel=0,
        origin=tuple(start for start, _ in bounds),
        shape=tuple(stop - start for start, stop in bounds),
        first_time=first,
        volumes=last - first,
        dtype=level.dtype,
    )


def _level(image: Image, level: int | str) -> Level:
    if str(level).isdecimal() and int(level) < len(image.levels):
        # The number counts first: a store may name its levels 1, 2, 3.
        return image.levels[int(level)]
    for candidate in image.levels:
        if str(level) == candidate.path:
            return candidate
    known = ", ".join(f"{i} ({'x'.join(map(str, entry.shape))})" for i, entry in enumerate(image.levels))
    raise InputError(f"{image.location.address} has no level {level}; it has {known}.")


def _channel(image: Image, channel: str | None, count: int) -> int:
    names = ", ".join(f"{entry.index} ({entry.name})" for entry in image.channels)
    if channel is None:
        if count > 1:
            raise InputError(f"{image.location.address} has {count} channels; choose one with --channel: {names}.")
        return 0
    matches = [entry.index for entry in image.channels if entry.name == channel]
    if len(matches) == 1:
        return matches[0]
    if len(matches) > 1:
        raise InputError(f"Several channels are named '{channel}'; give --channel as a number: {names}.")
    if channel.isdecimal() and int(channel) < count:
        return int(channel)
    raise InputError(f"{image.location.address} has no channel '{channel}'; it has {names or '0'}.")


def parse_time(text: str | None, size: int) -> tuple[int, int]:
    """Read ``N`` or ``A:B`` into a half-open range of time points.

    Raises
    ------
    InputError
        If it is malformed, empty, or not wholly inside the image.
    """
    if text is None:
        return 0, size
    try:
        if ":" in text:
            a, b = text.split(":")
            start, stop = int(a or 0), int(b or size)
        else:
            start = int(text)
            stop = start + 1
    except ValueError:
        raise InputError(f"--time '{text}' is neither a number nor a range such as 0:10.") from None
    _check_range("--time", text, "t", start, stop, size)
    return start, stop


def parse_region(text: str | None, axes: str, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
    """Read ``z0:z1,y0:y1,x0:x1`` into half-open bounds, one pair a spatial axis.

    Raises
    ------
    InputError
        If it is malformed, empty, or not wholly inside the image.
    """
    if text is None:
        return tuple((0, size) for size in shape)
    example = ",".join(f"{axis}0:{axis}1" for axis in axes)
    parts = text.split(",")
    if len(parts) != len(axes):
        ranges = f"{len(parts)} range{'s' * (len(parts) != 1)}"
        raise InputError(f"--region '{text}' has {ranges}, but the image has the axes {axes}: {example}.")
    bounds = []
    for part, axis, size in zip(parts, axes, shape, strict=True):
        try:
            a, b = part.split(":")
            start, stop = int(a or 0), int(b or size)
        except ValueError:
            raise InputError(f"--region '{text}' has '{part}' where a range such as 0:100 is needed.") from None
        _check_range("--region", text, axis, start, stop, size)
        bounds.append((start, stop))
    return tuple(bounds)


def _check_range(option: str, text: str, axis: str, start: int, stop: int, size: int) -> None:
    if stop <= start:
        raise InputError(f"{option} '{text}' selects nothing along {axis}: {start}:{stop} is empty.")
    if start < 0 or stop > size:
        raise InputError(f"{option} '{text}' is not entirely inside the image: {axis} goes from 0 to {size}.")
