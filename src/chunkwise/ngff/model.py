"""What chunkwise knows of an OME-Zarr store, whichever version it was written in.

These classes are the door: axes are normalised here once, and nothing further inside asks again
whether there is a channel axis or which specification version the metadata follow.
"""

from __future__ import annotations

from dataclasses import dataclass

from chunkwise.storage.location import Location

__all__ = ["Axis", "Channel", "Collection", "Finding", "Image", "Level", "Plate", "Store", "Well"]


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
    """One remark of the validation: ``error`` breaks the specification, ``warning`` does not."""

    severity: str
    where: str
    message: str


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
    """The transitional ``bioformats2raw.layout``: numbered images below one group."""

    location: Location
    version: str
    series: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


Store = Image | Plate | Collection
