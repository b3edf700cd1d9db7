"""From a model's maps to objects: mask, components, and what parts those that hold several; as a chain of passes.

The mask is ``map > threshold``; its components are joined across blocks exactly, and each is parted from its own
bounding box (:mod:`chunkwise.ops.seeds`, :mod:`chunkwise.ops.flows`), so that no block shows in the result.
StarDist's objects overlap and have no components: :mod:`chunkwise.ops.star_passes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Box, Grid
from chunkwise.blocks.job import Job
from chunkwise.blocks.memory import projected_memory
from chunkwise.ngff.layout import OutputImage
from chunkwise.ngff.volumes import VolumeSource
from chunkwise.ops import flows, seeds, split_passes
from chunkwise.ops.divider import Divider
from chunkwise.ops.labelling import Labelling
from chunkwise.ops.maps import Maps, MapVolumes
from chunkwise.ops.write_labels import LabelResult, write_labels

__all__ = ["METHODS", "Method", "ObjectParameters", "find_objects", "memory_of"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Method:
    """A way from maps to objects."""

    channels: tuple[str, ...]
    """Maps that it reads, the one that makes the mask first."""
    defaults: dict[str, Any]
    """Its parameters, and what they are unless somebody says otherwise."""


COMMON: dict[str, Any] = {"threshold": 0.5, "min_size": 0, "fill_holes": False, "connectivity": None}

METHODS: dict[str, Method] = {
    "threshold": Method(("foreground",), COMMON),
    "foreground-boundary": Method(("foreground", "boundary"), COMMON | {"seed_threshold": 0.5}),
    "foreground-distance": Method(("foreground", "distance"), COMMON | {"seed_threshold": 0.0, "min_distance": 5}),
    "flows": Method(
        ("probability", "flow_z", "flow_y", "flow_x"),
        COMMON | {"threshold": 0.0, "flow_scale": 5.0, "steps": 200, "sink_distance": 3},
    ),
    "stardist": Method(
        ("probability", "distances"),
        {"threshold": 0.5, "nms_threshold": 0.4, "max_radius": 128, "grid": 1, "min_size": 0},
    ),
}


@dataclass(frozen=True)
class ObjectParameters:
    """The options that decide the result."""

    method: str
    values: dict[str, Any]
    """Of the method's parameters, each one; ``connectivity`` is a number."""


@dataclass(frozen=True)
class _Parting:
    """Parts components from maps: a :class:`Divider`."""

    maps: Maps
    parameters: ObjectParameters

    @property
    def bytes_read(self) -> int:
        return self.maps.bytes_a_voxel

    @property
    def bytes_a_voxel(self) -> int:
        return flows.BYTES_A_VOXEL if self.parameters.method == "flows" else seeds.BYTES_A_VOXEL

    def may_divide(self, extents: Array) -> Array:
        return np.asarray(extents.max(axis=1) > 1)

    def read(self, volume: int, box: Box) -> Array:
        return self.maps.read(volume, box)

    def divide(self, mask: Array, maps: Array | None, connectivity: int) -> tuple[Array, int]:
        assert maps is not None
        values = self.parameters.values
        if self.parameters.method == "foreground-boundary":
            return seeds.part_by_boundary(mask, maps[0], maps[1], values["seed_threshold"], connectivity)
        if self.parameters.method == "foreground-distance":
            return seeds.part_by_distance(mask, maps[0], values["seed_threshold"], values["min_distance"], connectivity)
        return flows.part_by_flows(mask, maps, values["flow_scale"], values["steps"], values["sink_distance"])


def divider_of(channels: dict[str, VolumeSource], parameters: ObjectParameters) -> Divider | None:
    """What parts the components, if anything does."""
    read = {
        "threshold": (),
        "foreground-boundary": ("foreground", "boundary"),
        "foreground-distance": ("distance",),
        "flows": tuple(name for name in ("flow_z", "flow_y", "flow_x") if name in channels),
    }[parameters.method]
    return _Parting(Maps(tuple(channels[name] for name in read)), parameters) if read else None


def memory_of(grid: Grid, dtype: str) -> int:
    """Project what a worker needs, in bytes, components being parted aside.

    While a block is labelled: the map as it is stored and as numbers, its mask, and its labels twice. While a unit is
    written: mask and labels of a block, and the unit.
    """
    labelling = projected_memory(grid, block=np.dtype(dtype).itemsize + 8 + 1 + 4 + 4)
    return max(labelling, projected_memory(grid, block=1 + 4 + 4, unit=2 * 4), split_passes.memory_of(grid))


def find_objects(
    channels: dict[str, VolumeSource],
    grid: Grid,
    parameters: ObjectParameters,
    make_output: Callable[[str], OutputImage],
    job: Job,
) -> LabelResult:
    """Make objects of every volume's maps, into the run's store.

    Parameters
    ----------
    channels : dict
        The maps by the names that :data:`METHODS` gives them.
    grid : Grid
        Of a volume.
    parameters : ObjectParameters
        What an object is.
    make_output : callable
        ``make_output(dtype) -> OutputImage``; the dtype is known only when the objects are counted.
    job : Job
        Where the work is done, and what is done already.

    Raises
    ------
    ResumableError
        If the run stopped in the middle.
    """
    values = parameters.values
    volumes = MapVolumes(channels[METHODS[parameters.method].channels[0]], grid)
    thresholds = [values["threshold"]] * volumes.source.volumes
    labelling = Labelling(volumes, thresholds, False, values["connectivity"], job)
    if values["fill_holes"]:
        labelling.find_holes()
    return write_labels(labelling, values["min_size"], divider_of(channels, parameters), make_output)
