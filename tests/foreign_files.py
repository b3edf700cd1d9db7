"""Files of other formats for tests: what reads them in boxes, and what they hold as a whole by numpy alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from pylibCZIrw import czi

from chunkwise.formats import as_store
from chunkwise.ngff.model import Image
from chunkwise.ngff.read import open_image
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.storage.location import resolve

__all__ = ["damage_tile", "full", "made_czi", "noise", "ome_set", "opened", "voxels"]


def opened(path: Path, **said: str) -> Image:
    location = as_store(resolve(str(path), None), said)
    assert location is not None
    return open_image(location)


def voxels(image: Image, level: int = 0, parts: int = 2) -> np.ndarray[Any, Any]:
    """All voxels, read in boxes that end inside chunks; axes ``tczyx``."""
    selection = select(image, level, EVERY)
    times = []
    for time in range(selection.source.volumes):
        channels = []
        for source in selection.sources:
            whole = np.zeros(source.shape, source.dtype)
            cuts = [np.linspace(0, n, parts + 1).astype(int) for n in source.shape]
            for index in np.ndindex(*(parts,) * len(source.shape)):
                box = tuple(slice(int(cut[i]), int(cut[i + 1])) for cut, i in zip(cuts, index, strict=True))
                if all(part.stop > part.start for part in box):
                    whole[box] = source.read(time, box)
            channels.append(whole.reshape((1,) * (3 - whole.ndim) + whole.shape))
        times.append(channels)
    return np.array(times)


def full(array: np.ndarray[Any, Any], axes: str) -> np.ndarray[Any, Any]:
    """The same with all of ``tczyx``, by numpy alone; samples are the last channels."""
    if "s" in axes:
        if "c" not in axes:
            array, axes = array[np.newaxis], f"c{axes}"
        order = [axes.index(axis) for axis in "tczyxs" if axis in axes]
        array = np.moveaxis(array.transpose(order), -1, "tc".index("c") + 1 if "t" in axes else 1)
        at = 1 if "t" in axes else 0
        array = array.reshape(*array.shape[:at], -1, *array.shape[at + 2 :])
        axes = "".join(axis for axis in "tczyx" if axis in axes or axis == "c")
    array = array.transpose([axes.index(axis) for axis in "tczyx" if axis in axes])
    for place, axis in enumerate("tczyx"):
        if axis not in axes:
            array = np.expand_dims(array, place)
    return array


def noise(shape: tuple[int, ...], dtype: str) -> np.ndarray[Any, Any]:
    random = np.random.default_rng(len(shape))
    if dtype.startswith("float"):
        return random.standard_normal(shape).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True)


def damage_tile(path: Path, number: int) -> None:
    """Overwrite the beginning of a tile of a compressed TIFF, so that it cannot be decoded."""
    with tifffile.TiffFile(path) as file:
        at = file.pages.first.dataoffsets[number]
    content = bytearray(path.read_bytes())
    content[at : at + 40] = b"\0" * 40
    path.write_bytes(content)


def ome_set(
    folder: Path, array: np.ndarray[Any, Any], order: str = "XYZCT", *, per_file: int = 2, companion: bool = False
) -> list[Path]:
    """An image of axes ``tczyx`` in several OME-TIFFs, planes in an order of OME-XML; the companion file first."""
    folder.mkdir(exist_ok=True)
    sizes = dict(zip("TCZYX", array.shape, strict=True))
    axes = order[:1:-1]  # the last is the fastest
    planes = array.transpose([*("TCZ".index(axis) for axis in axes), 3, 4]).reshape(-1, *array.shape[3:])
    firsts = range(0, len(planes), per_file)
    names = [f"part{n:02}.ome.tif" for n in range(len(firsts))]
    uuids = [f"urn:uuid:00000000-0000-0000-0000-{n:012}" for n in range(len(firsts))]
    data = ""
    for name, uuid, first in zip(names, uuids, firsts, strict=True):
        index = np.unravel_index(first, [sizes[axis] for axis in axes])
        begin = " ".join(f'First{axis}="{n}"' for axis, n in zip(axes, index, strict=True))
        count = min(per_file, len(planes) - first)
        data += f'<TiffData {begin} IFD="0" PlaneCount="{count}"><UUID FileName="{name}">{uuid}</UUID></TiffData>'
    size = " ".join(f'Size{axis}="{n}"' for axis, n in sizes.items())
    channels = "".join(f'<Channel ID="Channel:0:{n}" Name="dye{n}" SamplesPerPixel="1"/>' for n in range(sizes["C"]))
    body = (
        f'<Image ID="Image:0" Name="embryo"><Pixels ID="Pixels:0" DimensionOrder="{order}" Type="{array.dtype}" {size} '
        f'PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="2">{channels}{data}</Pixels></Image>'
    )
    space = 'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    found, own = [], "urn:uuid:00000000-0000-0000-0000-00000000ffff"
    if companion:
        found.append(folder / "set.companion.ome")
        found[0].write_text(f'<?xml version="1.0" encoding="UTF-8"?><OME {space} UUID="{own}">{body}</OME>')
        body = f'<BinaryOnly MetadataFile="set.companion.ome" UUID="{own}"/>'
    for name, uuid, first in zip(names, uuids, firsts, strict=True):
        with tifffile.TiffWriter(folder / name) as file:
            for n in range(first, min(first + per_file, len(planes))):
                text = f'<OME {space} UUID="{uuid}">{body}</OME>' if n == first else None
                file.write(
                    planes[n], description=text, metadata=None, contiguous=False, tile=(16, 16), compression="zlib"
                )
        found.append(folder / name)
    return found


def made_czi(
    path: Path,
    array: np.ndarray[Any, Any],
    *,
    names: tuple[str, ...] = ("DAPI", "GFP", "RFP"),
    corner: tuple[int, int] = (30, -7),
    edge: int = 32,
    compression: str = "uncompressed:",
) -> Path:
    """Write a CZI of many tiles, axes ``tczyx`` and perhaps samples; the plane's corner lies somewhere."""
    with czi.create_czi(str(path), exist_ok=True, compression_options=compression) as file:
        for t, c, z in np.ndindex(array.shape[:3]):
            plane = array[t, c, z].reshape(*array.shape[3:5], -1)[..., ::-1]  # blue first
            for y in range(0, plane.shape[0], edge):
                for x in range(0, plane.shape[1], edge):
                    place = {"T": t, "C": c, "Z": z}
                    tile = np.ascontiguousarray(plane[y : y + edge, x : x + edge])
                    file.write(tile, location=(corner[0] + x, corner[1] + y), plane=place)
        tints = [czi.Rgb8Color(*(np.uint8(255 * (part == n % 3)) for part in range(3))) for n in range(len(names))]
        shown = {
            n: czi.ChannelDisplaySettingsDataClass(True, czi.TintingMode.Color, tint, 0.0, 1.0)
            for n, tint in enumerate(tints)
        }
        sizes = {"scale_x": 0.25e-6, "scale_y": 0.25e-6, "scale_z": 1e-6}
        file.write_metadata("made", channel_names=dict(enumerate(names)), display_settings=shown, **sizes)
    return path
