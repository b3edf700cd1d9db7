"""What a file of another format holds, said in OME-Zarr's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.channels import omero_of
from chunkwise.ngff.model import AXIS_TYPES, Channel
from chunkwise.storage.array_reader import ArrayReader
from chunkwise.storage.writer import json_bytes

__all__ = ["COLORS", "DescribedFile", "amend", "numbers"]

#: Of the samples of a pixel, by their names.
COLORS: Final = {"red": "FF0000", "green": "00FF00", "blue": "0000FF"}


@dataclass(frozen=True)
class DescribedFile:
    """A file as a store; axes of the arrays are some of ``tczyx``, in that order."""

    name: str
    axes: str
    levels: Sequence[ArrayReader]
    files: tuple[str, ...]
    """Names of the files that are read; the first is the one that was given."""
    sizes: Mapping[str, tuple[float, str | None]] = field(default_factory=dict)
    """Of a voxel, and the time step: number and unit by axis; what is not known is left out."""
    channels: tuple[Channel, ...] = ()
    remarks: tuple[str, ...] = ()
    attached: Mapping[str, bytes] = field(default_factory=dict)
    """Documents that go beside the image as they are, by key."""
    check: Callable[[], None] = lambda: None
    """Raises InputError if the file has less than it says."""

    @property
    def arrays(self) -> dict[str, ArrayReader]:
        """Levels by their paths."""
        return {str(number): level for number, level in enumerate(self.levels)}

    @cached_property
    def documents(self) -> dict[str, bytes]:
        """The metadata documents of the OME-Zarr that it would be."""
        made = {"zarr.json": json_bytes(self._group())}
        for path, array in self.arrays.items():
            made[f"{path}/zarr.json"] = json_bytes(_array(array, self.axes))
        return made

    def _group(self) -> dict[str, Any]:
        axes = []
        for axis in self.axes:
            entry = {"name": axis, "type": AXIS_TYPES[axis]}
            unit = self.sizes.get(axis, (1.0, None))[1]
            axes.append(entry | ({"unit": unit} if unit else {}))
        datasets = []
        for path, array in self.arrays.items():
            steps = zip(self.axes, self.levels[0].shape, array.shape, strict=True)
            scale = [self.sizes.get(axis, (1.0, None))[0] * (whole / size) for axis, whole, size in steps]
            datasets.append({"path": path, "coordinateTransformations": [{"type": "scale", "scale": scale}]})
        ome: dict[str, Any] = {
            "version": "0.5",
            "multiscales": [{"name": self.name, "axes": axes, "datasets": datasets}],
        }
        omero = omero_of(self.channels, str(self.levels[0].dtype)) if self.channels else None
        if omero is not None:
            ome["omero"] = omero
        return {"zarr_format": 3, "node_type": "group", "attributes": {"ome": ome}}


def _array(array: ArrayReader, axes: str) -> dict[str, Any]:
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": list(array.shape),
        "data_type": str(array.dtype),
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": list(array.chunks)}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": np.zeros((), array.dtype).item(),
        "codecs": [{"name": "bytes", "configuration": {"endian": "little"}}],
        "dimension_names": list(axes),
    }


def numbers(text: str, option: str, count: int) -> tuple[float, ...]:
    """Read numbers above 0, separated by commas.

    Raises
    ------
    InputError
        If they are no such numbers, or not as many as are needed.
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != count or not all(0 < value < float("inf") for value in found):
        raise InputError(f"{option} '{text}' has to be {count} numbers above 0, separated by commas.")
    return found


def amend(
    said: Mapping[str, str],
    axes: str,
    sizes: Mapping[str, tuple[float, str | None]],
    channels: tuple[Channel, ...],
    what: str,
) -> tuple[dict[str, tuple[float, str | None]], tuple[Channel, ...], tuple[str, ...]]:
    """Put what a person said in the place of what a file says; returns sizes, channels and remarks.

    Parameters
    ----------
    said : mapping
        ``voxel_size``, ``unit`` and ``channel_name``, each as one text.
    axes : str
        Of the image.
    sizes : mapping
        As the file says them.
    channels : tuple of Channel
        As the file says them.
    what : str
        The file, for sentences.

    Raises
    ------
    InputError
        If what was said does not fit the image.
    """
    spatial = [axis for axis in axes if axis in "zyx"]
    sizes = dict(sizes)
    if "voxel_size" in said:
        for axis, size in zip(spatial, numbers(said["voxel_size"], "--voxel-size", len(spatial)), strict=True):
            sizes[axis] = (size, said.get("unit", "micrometer"))
    elif "unit" in said:
        raise InputError("--unit says the unit of --voxel-size; give both.")
    if "channel_name" in said:
        names = said["channel_name"].split("\n")
        if len(names) != len(channels):
            raise InputError(f"{what} has {len(channels)} channels, and --channel-name was given {len(names)} times.")
        known = zip(channels, names, strict=True)
        channels = tuple(Channel(one.index, name, one.color, one.window) for one, name in known)
    missing = [axis for axis in spatial if axis not in sizes]
    remarks: tuple[str, ...] = ()
    if missing:
        remarks = (
            f"{what} gives no voxel size along {', '.join(missing)} that can be used, so the result has none either; "
            "give --voxel-size if you know it.",
        )
    return sizes, channels, remarks
