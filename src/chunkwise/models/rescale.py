"""The image as if its voxels had the size that a model was made for, and the model's maps back on the image's voxels.

Both ways are linear interpolation between voxel centres, box by box from the coordinates of the whole volume, so
that no box and no tile changes a number. Reference, for an axis of ``n`` voxels that become ``m``::

    places = (np.arange(m) + 0.5) / factor - 0.5
    scipy.ndimage.map_coordinates(volume.astype(float), np.meshgrid(..., indexing="ij"), order=1, mode="nearest")

Voxels are not smoothed before they are made larger: where the model's are more than twice the image's, a coarser
resolution level is the better source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.ngff.volumes import VolumeSource

__all__ = ["Rescaled", "back_on_voxels", "box_around", "rescaled_shape"]

Array = np.ndarray[Any, Any]
Box = tuple[slice, ...]


def rescaled_shape(shape: Sequence[int], factors: Sequence[float]) -> tuple[int, ...]:
    """Shape of a volume with ``factor`` new voxels for every old one along each axis; at least one."""
    return tuple(max(1, round(n * factor)) for n, factor in zip(shape, factors, strict=True))


@dataclass(frozen=True)
class Rescaled:
    """A volume source at another voxel size, which is read like one."""

    source: VolumeSource
    factors: tuple[float, ...]
    """New voxels for every one of the source, along each spatial axis; 1 for what stays as it is."""

    dtype = "float32"

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one volume."""
        return rescaled_shape(self.source.shape, self.factors)

    @property
    def volumes(self) -> int:
        """Number of time points."""
        return self.source.volumes

    def read(self, volume: int, box: Box) -> Array:
        """Read a box of one volume, relative to the rescaled one; float32."""
        places = [
            _places(part, 1 / factor, n) for part, factor, n in zip(box, self.factors, self.source.shape, strict=True)
        ]
        around = _around(places, self.source.shape)
        data = self.source.read(volume, around).astype(np.float64)
        return _interpolate(data, around, places, self.factors).astype(np.float32)


def box_around(box: Box, factors: Sequence[float], shape: Sequence[int]) -> Box:
    """The box of the rescaled volume that `back_on_voxels` needs for a box of the image.

    Parameters
    ----------
    box : tuple of slice
        In voxels of the image.
    factors : sequence of float
        As `Rescaled` has them.
    shape : sequence of int
        Of the rescaled volume.
    """
    return _around([_places(part, f, n) for part, f, n in zip(box, factors, shape, strict=True)], shape)


def back_on_voxels(maps: Array, seen: Box, box: Box, factors: Sequence[float], shape: Sequence[int]) -> Array:
    """Maps of a box of the rescaled volume on the voxels of a box of the image.

    Parameters
    ----------
    maps : ndarray
        Channels first, then the box ``seen``.
    seen, box : tuple of slice
        Boxes of the rescaled volume and of the image; ``seen`` is ``box_around(box, factors, shape)``.
    factors, shape
        As for `box_around`.

    Returns
    -------
    ndarray of float64
        Channels first, then the box.
    """
    places = [_places(part, f, n) for part, f, n in zip(box, factors, shape, strict=True)]
    return np.stack([_interpolate(one.astype(np.float64), seen, places, factors) for one in maps])


def _places(part: slice, factor: float, length: int) -> Array:
    """Where the voxels of a part lie on an axis that has ``factor`` voxels for each; beyond its ends, at them."""
    return np.clip((np.arange(part.start, part.stop) + 0.5) * factor - 0.5, 0, length - 1)


def _around(places: Sequence[Array], shape: Sequence[int]) -> Box:
    return tuple(
        slice(int(at[0]), min(int(at[-1]) + 2, length)) for at, length in zip(places, shape, strict=True)
    )  # fmt: skip


def _interpolate(data: Array, box: Box, places: Sequence[Array], factors: Sequence[float]) -> Array:
    """Values at places, axis by axis; ``data`` is a box of the axes that the places are on."""
    for axis, (part, at, factor) in enumerate(zip(box, places, factors, strict=True)):
        if factor == 1:
            data = np.take(data, np.arange(len(at)), axis=axis)
            continue
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, part.stop - 1)
        weight = (at - low).reshape([-1 if number == axis else 1 for number in range(data.ndim)])
        low_values, high_values = (np.take(data, index - part.start, axis=axis) for index in (low, high))
        data = low_values * (1 - weight) + high_values * weight
    return data
