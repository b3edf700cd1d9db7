"""Zeiss CZI, read by pylibCZIrw: the tiles of a scene as one image, a box at a time.

pylibCZIrw holds Zeiss's own reader, under the LGPL, and is installed with the extra ``czi``.
"""

from __future__ import annotations

import os
import threading
import xml.etree.ElementTree as ElementTree
from functools import partial
from itertools import product
from typing import Any, Final

import numpy as np

from chunkwise.errors import InputError
from chunkwise.files import open_file
from chunkwise.formats.described import COLORS, DescribedFile, amend
from chunkwise.formats.tiff_metadata import parse_xml
from chunkwise.formats.tiff_planes import explained
from chunkwise.ngff.model import Channel, bare_name
from chunkwise.storage.array_reader import Box
from chunkwise.storage.location import Location

__all__ = ["open_file_as_store"]

#: Voxels by the names of libCZI: type, and samples of a pixel, which it keeps as blue, green, red.
KINDS: Final = {
    "Gray8": ("uint8", 1),
    "Gray16": ("uint16", 1),
    "Gray32Float": ("float32", 1),
    "Bgr24": ("uint8", 3),
    "Bgr48": ("uint16", 3),
}
#: Where the original metadata go beside the image.
ORIGINAL: Final = "OME/METADATA.czi.xml"
_IMAGE: Final = "Information/Image/Dimensions"
#: Edge of what is read at once: tiles that it cuts are decoded again for the next one.
EDGE: Final = 2048

_explained = partial(explained, what="CZI")


def open_file_as_store(location: Location) -> DescribedFile:
    """Open a CZI as a store; see :func:`chunkwise.storage.foreign.foreign_store`."""
    assert location.foreign is not None
    path, said = location.foreign.path, dict(location.foreign.said)
    if "axes" in said:
        raise InputError(f"--axes is for TIFFs; {path} is a CZI, whose axes are known.")
    array = _Scene(location, path, said.get("series"))
    root, text = array.metadata()
    sizes, channels, remarks = amend(said, array.axes, _sizes(root), _channels(root, array), path)
    known = {axis: value for axis, value in sizes.items() if axis in array.axes}
    told = (f"{path}: what is not of channels, colours and sizes is only in {ORIGINAL}", *array.gaps())
    return DescribedFile(
        name=said.get("name") or bare_name(location),
        axes=array.axes,
        levels=[array],
        files=(os.path.basename(path),),
        sizes=known,
        channels=channels,
        remarks=(*remarks, *told),
        attached={ORIGINAL: text},
    )


class _Scene:
    """A scene at its full resolution, axes in the order of OME-Zarr; samples of a pixel are channels."""

    def __init__(self, location: Location, path: str, wanted: str | None) -> None:
        try:
            from pylibCZIrw.czi import CacheOptions, CacheType, CziReader
        except ImportError:
            raise InputError(
                f"{path} is a Zeiss CZI file, which needs pylibCZIrw: install chunkwise with it (pip install "
                f"'chunkwise[czi]'), or make an OME-Zarr of the file with 'bioformats2raw {os.path.basename(path)} "
                "OUT.zarr'."
            ) from None
        self._path, self._lock = path, threading.Lock()
        with (
            open_file(path, lambda real: real == path or location.allows(real), what="CZI") as file,
            _explained(path),
        ):
            # By the open file, so that what is read is what the policy allowed.
            self._czi = CziReader(
                f"/proc/self/fd/{file.fileno()}", cache_options=CacheOptions(CacheType.Standard, 2**27, None)
            )
            lengths = {axis: end - start for axis, (start, end) in self._czi.total_bounding_box.items()}
            scenes = self._czi.scenes_bounding_rectangle
            kinds = sorted({self._czi.get_channel_pixel_type(channel) for channel in range(lengths["C"])})
        self._scene, self._box = _chosen(scenes, wanted, path, lengths)
        self.dtype, self.samples = _voxels(kinds, lengths, path)
        size = {"t": lengths["T"], "c": lengths["C"] * self.samples, "z": lengths["Z"], "y": self._box[3]}
        size["x"] = self._box[2]
        self.axes = "".join(axis for axis in "tczyx" if size[axis] > 1 or axis in "yx")
        self.shape = tuple(size[axis] for axis in self.axes)
        chunk = {"c": self.samples, "y": EDGE, "x": EDGE}
        self.chunks = tuple(min(size[axis], chunk.get(axis, 1)) for axis in self.axes)
        self.files = self.chunks

    def key(self, index: tuple[int, ...]) -> str:
        """Give a name for a chunk; there is no file of that name."""
        return "c/" + "/".join(map(str, index))

    def read(self, box: Box) -> np.ndarray[Any, Any]:
        """Read a box, axes as in :attr:`axes`."""
        parts = dict(zip(self.axes, box, strict=True))
        times, channels, planes = (parts.get(axis, slice(0, 1)) for axis in "tcz")
        y, x = parts["y"], parts["x"]
        roi = (self._box[0] + x.start, self._box[1] + y.start, x.stop - x.start, y.stop - y.start)
        made = np.empty([part.stop - part.start for part in (times, channels, planes, y, x)], self.dtype)
        where = ", ".join(f"{axis} {part.start}:{part.stop}" for axis, part in parts.items())
        stored = range(channels.start // self.samples, -(-channels.stop // self.samples))
        with _explained(self._path, f" at {where}"), self._lock:
            for t, c, z in product(range(times.start, times.stop), stored, range(planes.start, planes.stop)):
                plane = self._czi.read(roi=roi, plane={"T": t, "C": c, "Z": z}, scene=self._scene)[..., ::-1]
                for sample in range(self.samples):
                    channel = c * self.samples + sample
                    if channels.start <= channel < channels.stop:
                        made[t - times.start, channel - channels.start, z - planes.start] = plane[..., sample]
        return made.reshape([part.stop - part.start for part in box])

    def metadata(self) -> tuple[ElementTree.Element, bytes]:
        """What the file says of itself."""
        with _explained(self._path):
            text = str(self._czi.raw_metadata).strip()
            return parse_xml(text), text.encode()

    def gaps(self) -> tuple[str, ...]:
        """Say that there are voxels without a tile, where the tiles of the first plane show it."""
        covered = 0
        # Every process opens the file, and there may be millions of tiles in all.
        first = {axis.upper(): 0 for axis, n in zip(self.axes, self.shape, strict=True) if axis in "tcz" and n > 1}
        if self.samples > 1:
            first.pop("C")

        def add(_: int, tile: Any) -> bool:
            nonlocal covered
            covered += tile.logicalRect.w * tile.logicalRect.h
            return True

        with _explained(self._path):
            self._czi.enumerate_subblocks_subset(add, plane=first, roi=self._box, only_layer0=True)
        if covered >= self._box[2] * self._box[3]:
            return ()
        return (f"{self._path}: the tiles do not cover the whole image; where there is none, voxels are 0",)


def _chosen(
    scenes: dict[int, Any], wanted: str | None, path: str, lengths: dict[str, int]
) -> tuple[int | None, tuple[int, int, int, int]]:
    """The scene that is asked for, and its rectangle: left, top, width, height."""
    other = [f"{axis} ({size})" for axis, size in lengths.items() if axis not in "TZCXY" and size > 1]
    if other:
        raise InputError(
            f"{path} has the axes {', '.join(other)} besides time, channel and space, which are not read; export one "
            "position along them with Zeiss's program."
        )
    if not scenes:
        raise InputError(f"The CZI {path} holds no image.")
    if wanted is None and len(scenes) > 1:
        listed = ", ".join(f"{n} ({one.h}x{one.w})" for n, one in sorted(scenes.items())[:8])
        raise InputError(f"{path} holds {len(scenes)} scenes; choose one with --series: {listed}.")
    number = min(scenes) if wanted is None else int(wanted)
    if number not in scenes:
        raise InputError(f"{path} has no scene {number}; it has {', '.join(map(str, sorted(scenes)))}.")
    one = scenes[number]
    return (number if len(scenes) > 1 else None), (one.x, one.y, one.w, one.h)


def _voxels(kinds: list[str], lengths: dict[str, int], path: str) -> tuple[np.dtype[Any], int]:
    """Type and samples of all channels."""
    if len(kinds) > 1:
        raise InputError(f"The channels of {path} have different types ({', '.join(kinds)}), and an image has one.")
    if kinds[0] not in KINDS:
        raise InputError(f"{path} has pixels of the kind {kinds[0]}, which are not read.")
    dtype, samples = KINDS[kinds[0]]
    if samples > 1 and lengths["C"] > 1:
        raise InputError(f"{path} has {lengths['C']} channels in red, green and blue each, which are not read.")
    return np.dtype(dtype), samples


def _channels(root: ElementTree.Element, array: _Scene) -> tuple[Channel, ...]:
    """Names and colours; samples of a colour picture are red, green and blue."""
    if array.samples > 1:
        return tuple(Channel(n, name, color) for n, (name, color) in enumerate(COLORS.items()))
    colors = {}
    for one in root.iterfind(".//DisplaySetting/Channels/Channel"):
        color = (one.findtext("Color") or "").strip().lstrip("#")
        if len(color) == 8:  # the first two are how opaque it is
            colors[one.get("Id")] = color[2:].upper()
    said = [(one.get("Name"), colors.get(one.get("Id"))) for one in root.iterfind(f".//{_IMAGE}/Channels/Channel")]
    count = array.shape[array.axes.index("c")] if "c" in array.axes else 1
    names = {name for name, _ in said if name}
    if len(said) != count or len(names) != count:  # channels are chosen by their names
        said = [(str(n), said[n][1] if len(said) == count else None) for n in range(count)]
    return tuple(Channel(n, str(name), color) for n, (name, color) in enumerate(said))


def _sizes(root: ElementTree.Element) -> dict[str, tuple[float, str | None]]:
    """Of a voxel in micrometres, and between two time points in seconds."""
    found: dict[str, tuple[float, str | None]] = {}
    for one in root.iterfind(".//Scaling/Items/Distance"):
        size = _number(one.findtext("Value"))
        if one.get("Id") in ("X", "Y", "Z") and size:
            found[str(one.get("Id")).lower()] = (float(f"{size * 1e6:.12g}"), "micrometer")
    step = _number(root.findtext(f".//{_IMAGE}/T/Positions/Interval/Increment"))
    if step:
        found["t"] = (step, "second")
    return found


def _number(text: str | None) -> float:
    """A number above 0 and below infinity; else 0."""
    try:
        value = float(text or 0)
    except ValueError:
        return 0.0
    return value if 0 < value < float("inf") else 0.0
