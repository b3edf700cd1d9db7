"""Objects painted on an image: outlines or areas, in their colours, as red, green and blue."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from chunkwise.blocks.boxes import inside
from chunkwise.blocks.grid import Box
from chunkwise.blocks.job import Job
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops.local import LocalVolumes
from chunkwise.report.colormaps import palette
from chunkwise.report.pictures import composite, label_colors, outlined, to_gray

__all__ = ["STRIP", "Paint", "PaintedVolumes"]

Array = np.ndarray[Any, Any]

#: Rows that are painted at a time.
STRIP = 512


@dataclass(frozen=True)
class Paint:
    """How objects are painted on an image."""

    windows: tuple[tuple[float, float], ...]
    """Of each channel: the values that are shown as black and as white."""
    colors: tuple[str, ...]
    """Of each channel, six hexadecimal digits; of a single one it is not looked at, which is grey."""
    filled: bool
    """Whether whole objects are painted, or their outlines."""
    outside: bool
    """Whether outlines lie also on the background around the objects."""
    width: int
    """Of the outlines, in voxels."""
    opacity: float
    """0 leaves the image as it is, 1 hides it."""
    color: str | None = None
    """Of all objects; else each has its own."""
    colormap: str = ""
    """Where numbers give objects their colours."""
    by: Mapping[str, Any] | None = None
    """These: ``ids``, in order, and as ``values`` their steps in the colour map."""

    @property
    def reach(self) -> int:
        """How far the painting looks along y and x."""
        return 0 if self.filled else self.width

    def paint(self, planes: Sequence[Array], labels: Array) -> Array:
        """Paint a plane.

        Parameters
        ----------
        planes : sequence of ndarray
            Of each channel, shape (y, x).
        labels : ndarray
            Whole numbers of the same shape; 0 and less is background.

        Returns
        -------
        ndarray
            uint8, shape (y, x, 3).
        """
        grays = [to_gray(plane, *window) for plane, window in zip(planes, self.windows, strict=True)]
        drawn = np.repeat(grays[0][..., None], 3, axis=2) if len(grays) == 1 else composite(grays, self.colors)
        objects = np.maximum(labels, 0)
        shown = objects if self.filled else outlined(objects, self.width, self.outside)
        where = shown != 0
        colors = np.broadcast_to(self._colors(shown[where]), (int(np.count_nonzero(where)), 3))
        for one in range(3):
            mixed = (1 - self.opacity) * drawn[..., one][where] + self.opacity * colors[:, one]
            drawn[..., one][where] = np.rint(mixed).astype(np.uint8)
        return drawn

    def paint_strips(self, planes: Sequence[Array], labels: Array, rows: int = STRIP) -> Array:
        """Paint a large plane, some rows at a time, which takes less memory; see :meth:`paint`."""
        drawn = np.empty((*labels.shape, 3), np.uint8)
        for first in range(0, len(labels), rows):
            before = max(0, first - self.reach)
            part = slice(before, first + rows + self.reach)
            made = self.paint([plane[part] for plane in planes], labels[part])
            drawn[first : first + rows] = made[first - before :][:rows]
        return drawn

    def _colors(self, labels: Array) -> Array:
        if self.color is not None:
            return np.frombuffer(bytes.fromhex(self.color), np.uint8)
        if self.by is not None:
            steps = self.by["values"][np.searchsorted(self.by["ids"], labels)]
            return np.asarray(palette(self.colormap)[steps])
        return label_colors(labels)


@dataclass(frozen=True)
class PaintedVolumes(LocalVolumes):
    """Volumes of an image and its labels, of which red, green and blue are made, plane by plane."""

    labels: VolumeSource = field(kw_only=True)
    paint: Paint = field(kw_only=True)
    tabled: LocalVolumes | None = field(default=None, kw_only=True)
    """The labels, where a number of each object gives its colour: finds these as ``objects``."""

    @property
    def n_volumes(self) -> int:
        """Three for every time point."""
        return self.source.volumes * 3

    def prepared(self, job: Job) -> Self:
        """The same, with the numbers of all objects."""
        return self if self.tabled is None else replace(self, tabled=None, found=self.tabled.prepared(job).found)

    def read_plane(self, time: int, box: Box) -> tuple[list[Array], Array]:
        """Every channel and the labels of a box."""
        images = [self.read_box(time * len(self.channels) + place, box) for place in range(len(self.channels))]
        return images, self.labels.read(time, box)

    def compute_group(self, group: int, block: int) -> dict[int, Array]:
        """Paint a block of a time point."""
        box = self.grid.block_box(block)
        far = (*(0,) * (len(box) - 2), self.paint.reach, self.paint.reach)
        outer = self.grid.halo_box(box, far)
        images, labels = self.read_plane(group, outer)
        inner = inside(box, outer)
        paint = replace(self.paint, by=self.found[group]["objects"]) if self.found else self.paint
        made = np.empty((3, *(part.stop - part.start for part in box)), np.uint8)
        flat = [one.reshape(-1, *one.shape[-2:]) for one in (*images, labels)]
        for place, target in enumerate(made.reshape(3, -1, *made.shape[-2:]).swapaxes(0, 1)):
            drawn = paint.paint_strips([one[place] for one in flat[:-1]], flat[-1][place])
            target[...] = np.moveaxis(drawn[inner[-2:]], -1, 0)
        return {group * 3 + color: made[color] for color in range(3)}
