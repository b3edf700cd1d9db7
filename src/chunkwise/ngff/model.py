"""What chunkwise knows of an OME-Zarr store, whichever version it was written in.

These classes are the door: axes are normalised here once, and nothing further inside asks again
whether there is a channel axis or which specification version the metadata follow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from chunkwise.storage.location import Location

__all__ = [
    "AXIS_TYPES",
    "Axis",
    "Channel",
    "Collection",
    "Finding",
    "Image",
    "Level",
    "Plate",
    "Store",
    "Well",
    "bare_name",
]

#: What the name of a store has after the name of what is in it.
_ENDINGS = re.compile(r"(\.ozx|(\.ome)?\.(zarr(\.zip)?|tiff?)|\.zip|\.png|\.jpe?g)$", re.IGNORECASE)


def bare_name(location: Location) -> str:
    """Name a store by its location, without ``.ome.zarr`` and the like."""
    return _ENDINGS.sub("", location.name)


#: The axes that chunkwise knows, in their order, and of which type each is.
AXIS_TYPES = {"t": "time", "c": "channel", "z": "space", "y": "space", "x": "space"}


@dataclass(frozen=True)
class Axis:
    """One axis of an image: ``t``, ``c``, ``z``, ``y`` or ``x``."""

    name: str
    type: str
    """``time``, ``channel`` or ``space``."""
    unit: str | None = None


@dataclass(frozen=True)
class Level:
    """One resolution of an image. Tuples follow the order of the image's axes."""

    path: str
    """Relative to the image's group."""
    shape: tuple[int, ...]
    dtype: str
    """NumPy's name, without byte order: ``uint16``."""
    chunks: tuple[int, ...]
    """The inner chunks, where the array is sharded."""
    shards: tuple[int, ...] | None
    codecs: tuple[str, ...]
    scale: tuple[float, ...]
    """Units per voxel; level and multiscale transformations combined."""
    translation: tuple[float, ...]
    zarr_format: int


@dataclass(frozen=True)
class Channel:
    """One channel; ``name`` is the label of the omero block, else the index as text."""

    index: int
    name: str
    color: str | None = None
    """Six hexadecimal digits."""
    window: tuple[float, float] | None = None
    """Display start and end, where the store says them."""


@dataclass(frozen=True)
class Finding:
    """One remark of the validation."""

    severity: str
    """``error``: breaks the specification, so that the store is refused; ``deviation``: breaks it as well, and is read
    all the same, because its meaning is beyond doubt; ``warning``: what the specification recommends was not done."""
    where: str
    message: str
    read: str = ""
    """Of a deviation: how it is read."""

    @property
    def text(self) -> str:
        """What is so, and how it is read."""
        return f"{self.message}; {self.read}" if self.read else self.message

    @property
    def line(self) -> str:
        """The whole remark, as it is shown."""
        return f"{self.severity}: {self.where} {self.text}"

    def within(self, part: str) -> Finding:
        """Say the same of a part of a larger whole, such as a well."""
        return replace(self, where=f"{part}: {self.where}")


@dataclass(frozen=True)
class Image:
    """An OME-Zarr multiscale: an image, or a label image."""

    location: Location
    """Of the multiscale's group."""
    kind: str
    """``image`` or ``labels``."""
    version: str
    """``0.4`` or ``0.5``."""
    name: str
    axes: tuple[Axis, ...]
    levels: tuple[Level, ...]
    channels: tuple[Channel, ...]
    """One entry per index of the channel axis; one entry where there is no such axis."""
    labels: tuple[str, ...] = ()
    """Names below ``labels/``."""
    findings: tuple[Finding, ...] = ()
    placed: bool = True
    """Whether the metadata say where the image lies: without a translation, 0 is no more than a default."""

    @property
    def axis_names(self) -> str:
        """Such as ``tczyx``."""
        return "".join(axis.name for axis in self.axes)

    @property
    def spatial(self) -> str:
        """Names of the spatial axes in order, such as ``zyx``."""
        return "".join(axis.name for axis in self.axes if axis.type == "space")


@dataclass(frozen=True)
class Well:
    """One well of a plate, with the paths of its fields relative to the well's group."""

    path: str
    row: str
    column: str
    fields: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plate:
    """A high-content-screening plate."""

    location: Location
    version: str
    name: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    wells: tuple[Well, ...]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Collection:
    """Several images below one group: the transitional ``bioformats2raw.layout``, or one well of a plate."""

    location: Location
    version: str
    series: tuple[str, ...]
    """Paths of the images, relative to the group."""
    findings: tuple[Finding, ...] = ()
    kind: str = "bioformats2raw"
    """``bioformats2raw`` or ``well``."""


Store = Image | Plate | Collection
