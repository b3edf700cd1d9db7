"""What calls from Python take and give: images that are opened, and results."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np

from chunkwise.errors import InputError
from chunkwise.ngff.model import Level
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.python.words import in_python
from chunkwise.reference import OpenedInput, Reference, open_image_input
from chunkwise.running.request import Result as Done
from chunkwise.site import load_site
from chunkwise.storage.arrays import open_array
from chunkwise.storage.location import Location

__all__ = ["Image", "Result", "open"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Voxels:
    """A stored array that reads what is asked of it, for Dask too; small and picklable."""

    array: Location
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, index: tuple[int | slice, ...]) -> Array:
        box: list[slice] = []
        rest: list[int | slice] = []
        for size, part in zip(self.shape, index, strict=True):
            wanted = range(size)[part] if isinstance(part, slice) else range(size)[part : part + 1 or None]
            first, last = (min(wanted[0], wanted[-1]), max(wanted[0], wanted[-1]) + 1) if wanted else (0, 1)
            box.append(slice(first, last))
            rest.append(0 if not isinstance(part, slice) else slice(None, None, wanted.step) if wanted else slice(0))
        data = open_array(self.array).read(tuple(box))[tuple(rest)]
        return data.view(np.uint8) != 0 if self.dtype == bool else np.ascontiguousarray(data)


class Image:
    """An image or label image that was opened; voxels are read when they are asked for.

    Made by :func:`chunkwise.open`, and by :meth:`Result.open`.
    """

    def __init__(self, place: str, reference: Reference | None = None) -> None:
        self._place, self._reference = place, reference
        self._image = self.opened().image

    def opened(self) -> OpenedInput:
        """Open it again, as every call does: what it was is not taken for what it is."""
        opened = open_image_input(self._place, load_site())
        known = self._reference
        return opened if known is None else replace(opened, records=known.records, reference=known)

    @property
    def path(self) -> str:
        """Path or URL."""
        return self._image.location.address

    @property
    def kind(self) -> str:
        """``image`` or ``labels``."""
        return self._image.kind

    @property
    def axes(self) -> str:
        """Such as ``tczyx``."""
        return self._image.axis_names

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the full resolution."""
        return self._image.levels[0].shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the voxels."""
        return np.dtype(self._image.levels[0].dtype)

    @property
    def scale(self) -> tuple[float, ...]:
        """Units per voxel of the full resolution, one an axis."""
        return self._image.levels[0].scale

    @property
    def units(self) -> tuple[str | None, ...]:
        """One an axis."""
        return tuple(axis.unit for axis in self._image.axes)

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of the channels."""
        return tuple(channel.name for channel in self._image.channels)

    @property
    def levels(self) -> tuple[Level, ...]:
        """The resolutions, the full one first; each with its shape, scale and chunks."""
        return self._image.levels

    def to_dask(self, level: int = 0, channel: str | int | None = None, time: str | int | None = None) -> Any:
        """Give the voxels as a Dask array that reads them where they lie.

        Parameters
        ----------
        level : int
            Resolution; 0 is the full one.
        channel : str or int, optional
            One channel by name or number, without its axis; all of them where it is not given.
        time : str or int, optional
            One time point, without its axis, or ``"A:B"``.

        Returns
        -------
        dask.array.Array
        """
        import dask.array

        dask_array: Any = dask.array  # which is not typed
        voxels, index = self._part(level, channel, time)
        stored = self._image.levels[level].chunks
        chunks = dask_array.core.normalize_chunks("auto", voxels.shape, dtype=voxels.dtype, previous_chunks=stored)
        meta = np.empty((0,) * voxels.ndim, voxels.dtype)
        return dask_array.from_array(voxels, chunks, fancy=False, asarray=False, meta=meta)[index]

    def to_numpy(self, level: int = 0, channel: str | int | None = None, time: str | int | None = None) -> Array:
        """Read the voxels; parameters as those of :meth:`to_dask`.

        Raises
        ------
        InputError
            If they are more than this machine's memory holds.
        """
        voxels, index = self._part(level, channel, time)
        sizes = [len(range(n)[part]) for n, part in zip(voxels.shape, index, strict=True) if isinstance(part, slice)]
        size, most = prod(sizes) * voxels.dtype.itemsize, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        if size > most:
            raise InputError(
                f"Level {level} of {self.path} takes {size / 2**30:.0f} GiB, and this machine has {most / 2**30:.0f}; "
                "choose a coarser level, one channel or one time, or use to_dask."
            )
        return voxels[index]

    def _part(
        self, level: int, channel: str | int | None, time: str | int | None
    ) -> tuple[_Voxels, tuple[int | slice, ...]]:
        with in_python():
            asked = None if time is None else str(time)
            chosen = select(self._image, level, EVERY if channel is None else str(channel), asked)
        first, last = chosen.source.first_time, chosen.source.first_time + chosen.source.volumes
        when = first if asked is not None and ":" not in asked else slice(first, last)
        which = slice(None) if channel is None else chosen.channels[0]
        index = tuple({"t": when, "c": which}.get(axis, slice(None)) for axis in self.axes)
        return _Voxels(chosen.source.array, chosen.level.shape, np.dtype(chosen.level.dtype)), index

    def __repr__(self) -> str:
        sizes = ", ".join(f"{axis} {size}" for axis, size in zip(self.axes, self.shape, strict=True))
        return f"<{self.kind} {self.path}: {sizes}, {self.dtype}, channels {', '.join(self.channels)}>"

    def _repr_html_(self) -> str:
        from chunkwise.report.pictures import contrast, enlarge, label_colors, png_bytes, to_gray
        from chunkwise.report.preview import read_plane

        plane = read_plane(self._image).data
        step = max(1, -(-max(plane.shape) // 512))
        shown = plane[::step, ::step]
        picture = label_colors(shown) if self.kind == "labels" else to_gray(shown, *contrast(shown))
        data = base64.b64encode(png_bytes(enlarge(picture))).decode()
        caption = repr(self).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        return f'<figure><img src="data:image/png;base64,{data}"><figcaption>{caption}</figcaption></figure>'


class Result:
    """What came of a call; it may be given to the next one."""

    def __init__(self, done: Done, path: str, files: dict[str, str]) -> None:
        self._reference = done.reference
        #: Path or URL of the result.
        self.path = path if done.location is None else done.location.address
        #: What there is to say of it.
        self.lines = done.lines
        #: What was written beside it, such as ``overlay``, ``record`` or ``crate``.
        self.files = files

    @property
    def reference(self) -> Reference:
        """What stands for it: where it is, what it is, and all run records that led to it."""
        return self._reference

    @property
    def record(self) -> dict[str, Any]:
        """The run record, as ``record=`` writes it."""
        return self._reference.records[-1]

    def open(self) -> Image:
        """Open a result that is an image or a label image."""
        if self._reference.kind == "table":
            raise InputError(f"{self.path} is a table, not an image; use to_arrow() or to_pandas().")
        return Image(self.path, self._reference)

    def to_dask(self, level: int = 0) -> Any:
        """Give the voxels as a Dask array; see :meth:`Image.to_dask`."""
        return self.open().to_dask(level)

    def to_numpy(self, level: int = 0) -> Array:
        """Read the voxels; see :meth:`Image.to_numpy`."""
        return self.open().to_numpy(level)

    def to_dict(self) -> Any:
        """Read a result that is JSON, such as that of ``compare``, or GeoJSON."""
        if not self.path.endswith((".json", ".geojson")):
            raise InputError(f"{self.path} is not JSON; use {self._others()}.")
        with _open(self.path, encoding="utf-8") as file:
            return json.load(file)

    def to_arrow(self) -> Any:
        """Read a table as a ``pyarrow.Table``."""
        import pyarrow.csv
        import pyarrow.parquet

        if self._reference.kind != "table" or self.path.endswith((".json", ".geojson")):
            raise InputError(f"{self.path} is not a table; use {self._others()}.")
        with _open(self.path, "rb") as file:
            if file.read(4) == b"PAR1":
                return pyarrow.parquet.read_table(self.path)
        return pyarrow.csv.read_csv(self.path, parse_options=pyarrow.csv.ParseOptions(delimiter="\t"))

    def to_pandas(self) -> Any:
        """Read a table as a ``pandas.DataFrame``."""
        if find_spec("pandas") is None:
            raise InputError("pandas is not installed; install it, or use to_arrow().")
        return self.to_arrow().to_pandas()

    def _others(self) -> str:
        if self._reference.kind != "table":
            return "open(), to_dask() or to_numpy()"
        return "to_dict()" if self.path.endswith((".json", ".geojson")) else "to_arrow() or to_pandas()"

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str | None:
        return None if self._reference.kind == "table" else self.open()._repr_html_()


_open = open


def open(place: str | os.PathLike[str] | Image | Result) -> Image:
    """Open an image or a label image.

    Parameters
    ----------
    place : str or path
        Path or URL of an OME-Zarr, or path of a reference; a result, too.

    Returns
    -------
    Image
        Nothing but its metadata is read.

    Raises
    ------
    InputError
        If it cannot be read.
    PolicyError
        If this machine's site file does not allow it.
    """
    if isinstance(place, Image):
        return place
    if isinstance(place, Result):
        return place.open()
    if not isinstance(place, str | os.PathLike):
        raise InputError(
            f"An image has to be a path, a URL, a reference, or something opened or made here, not {type(place)}."
        )
    with in_python():
        return Image(os.fspath(place))
