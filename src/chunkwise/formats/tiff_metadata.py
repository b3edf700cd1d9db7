"""What a TIFF says of its image: sizes, units, names and colours of channels; by OME-XML, by ImageJ, by LSM."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chunkwise.ngff.beside import OME_XML
from chunkwise.ngff.model import Channel

__all__ = ["TiffFacts", "facts_of", "facts_of_ome", "parse_xml"]

#: Units as programs write them, and as OME-Zarr does.
UNITS: Final = {
    "µm": "micrometer",
    "μm": "micrometer",
    "um": "micrometer",
    "micron": "micrometer",
    "microns": "micrometer",
    "micrometer": "micrometer",
    "\\u00b5m": "micrometer",
    "nm": "nanometer",
    "nanometer": "nanometer",
    "mm": "millimeter",
    "millimeter": "millimeter",
    "cm": "centimeter",
    "m": "meter",
    "pm": "picometer",
    "å": "angstrom",
    "s": "second",
    "sec": "second",
    "ms": "millisecond",
    "min": "minute",
    "h": "hour",
}

#: Elements of OME-XML that say something which is not carried into the OME-Zarr, and what it is about.
NOT_CARRIED: Final = {"Objective": "the objective", "Plane": "the place and time of each plane", "ROI": "regions"}


#: The same of what ImageJ writes.
NOT_CARRIED_OF_IMAGEJ: Final = {
    "LUTs": "colour tables",
    "Ranges": "display ranges",
    "Labels": "names of planes",
    "Overlays": "overlays",
    "ROI": "regions",
    "Info": "free text",
}

#: Ways to read pixels that OME-Zarr cannot say; the numbers are kept as they are.
COLOURS: Final = {
    "PALETTE": "pixels are numbers of colours, and the table of colours is not carried into the result",
    "MINISWHITE": "0 stands for white; values are kept as they are, so the picture looks inverted",
    "SEPARATED": "pixels are amounts of ink (CMYK), which are kept as channels",
    "CIELAB": "pixels are L*a*b* colours, which are kept as channels",
}


@dataclass(frozen=True)
class TiffFacts:
    """What is known of an image."""

    name: str = ""
    sizes: Mapping[str, tuple[float, str | None]] = field(default_factory=dict)
    channels: tuple[Channel, ...] = ()
    rgb: bool = False
    dropped: tuple[str, ...] = ()
    """What of it is not carried along, in words."""
    attached: Mapping[str, bytes] = field(default_factory=dict)


def facts_of(tif: Any, series: Any, number: int) -> TiffFacts:
    """Collect what a TIFF says of one of its series.

    Parameters
    ----------
    tif : tifffile.TiffFile
        The file.
    series : tifffile.TiffPageSeries
        The series.
    number : int
        Which it is.
    """
    return _with_colours(_by_kind(tif, series, number, _is_rgb(series.keyframe)), series.keyframe)


def facts_of_ome(root: ElementTree.Element, text: str | bytes, number: int, page: Any) -> TiffFacts:
    """Collect what OME-XML says of an image, one of whose planes is a page.

    Parameters
    ----------
    root : Element
        The OME-XML, parsed.
    text : str or bytes
        The same as it stands in the file.
    number : int
        Which image of it.
    page : tifffile.TiffPage
        A plane of it.
    """
    return _with_colours(_by_ome(root, text, number, page, _is_rgb(page)), page)


def _is_rgb(page: Any) -> bool:
    return getattr(page.photometric, "name", "") in ("RGB", "YCBCR")


def _with_colours(facts: TiffFacts, page: Any) -> TiffFacts:
    kind = getattr(page.photometric, "name", "")
    return replace(facts, dropped=facts.dropped + ((COLOURS[kind],) if kind in COLOURS else ()))


def _by_kind(tif: Any, series: Any, number: int, rgb: bool) -> TiffFacts:
    if series.kind == "ome" and tif.ome_metadata:
        root = parse_xml(tif.ome_metadata)
        image = _image_number(root, tif.series, number)
        if image is not None:
            return _by_ome(root, tif.ome_metadata, image, series.keyframe, rgb)
        which = (
            "its OME-XML does not say which of its images this is, so sizes, names and colours are not taken from it"
        )
        return TiffFacts(rgb=rgb, dropped=(which,), attached={OME_XML: tif.ome_metadata.encode()})
    if series.kind == "imagej" and tif.imagej_metadata:
        found = tif.imagej_metadata
        names = [words for key, words in NOT_CARRIED_OF_IMAGEJ.items() if key in found]
        dropped = (f"{', '.join(names)}: not carried into the result",) if names else ()
        return TiffFacts(sizes=_by_imagej(found, series.keyframe), rgb=rgb, dropped=dropped)
    if series.kind == "lsm" and tif.lsm_metadata:
        return TiffFacts(sizes=_by_lsm(tif.lsm_metadata), rgb=rgb)
    return TiffFacts(rgb=rgb)


def parse_xml(text: str | bytes) -> ElementTree.Element:
    """Parse OME-XML; whoever made the file wrote it, and expat refuses entities that grow without bound."""
    return ElementTree.fromstring(text)  # noqa: S314


def _tag(node: ElementTree.Element) -> str:
    return node.tag.rpartition("}")[2]


def _image_number(root: ElementTree.Element, series: Sequence[Any], number: int) -> int | None:
    """Which image of the OME-XML a series is: tifffile leaves out those without planes; None where that is not it."""
    images = [node for node in root if _tag(node) == "Image"]
    ours = [one for one in series if one.kind == "ome"]
    if len(images) == len(ours):
        return number
    with_planes = [place for place, image in enumerate(images) if any(_tag(one) == "TiffData" for one in image.iter())]
    return with_planes[number] if len(with_planes) == len(ours) else None


def _by_ome(root: ElementTree.Element, text: str | bytes, number: int, page: Any, rgb: bool) -> TiffFacts:
    images = [node for node in root if _tag(node) == "Image"]
    image = images[min(number, len(images) - 1)]
    pixels = next(node for node in image if _tag(node) == "Pixels")
    attached = {OME_XML: text.encode() if isinstance(text, str) else text}
    if (pixels.get("SizeY"), pixels.get("SizeX")) != (str(page.imagelength), str(page.imagewidth)):
        other = "its OME-XML describes planes of another size, so sizes, names and colours are not taken from it"
        return TiffFacts(rgb=rgb, dropped=(other,), attached=attached)
    sizes: dict[str, tuple[float, str | None]] = {}
    for axis in "xyz":
        _put(
            sizes, axis, pixels.get(f"PhysicalSize{axis.upper()}"), pixels.get(f"PhysicalSize{axis.upper()}Unit", "µm")
        )
    _put(sizes, "t", pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    entries = [node for node in pixels if _tag(node) == "Channel"]
    channels = tuple(
        Channel(index, node.get("Name") or str(index), _color(node.get("Color"))) for index, node in enumerate(entries)
    )
    tags = {_tag(node) for node in root.iter()}
    dropped = [words for tag, words in NOT_CARRIED.items() if tag in tags]
    told = (f"{', '.join(dropped)}: only in OME/METADATA.ome.xml, not in the image's own metadata",) if dropped else ()
    return TiffFacts(image.get("Name") or "", sizes, channels, rgb, told, attached)


def _by_imagej(found: Mapping[str, Any], page: Any) -> dict[str, tuple[float, str | None]]:
    sizes: dict[str, tuple[float, str | None]] = {}
    unit = str(found.get("unit", ""))
    units = {axis: str(found.get(f"{axis}unit", unit)) for axis in "yz"}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        entry = page.tags.get(tag)
        if entry is not None and entry.value[0]:
            _put(sizes, axis, entry.value[1] / entry.value[0], units.get(axis, unit))
    _put(sizes, "z", found.get("spacing"), units["z"])
    _put(sizes, "t", found.get("finterval"), str(found.get("tunit", "sec")))
    return sizes


def _by_lsm(found: Mapping[str, Any]) -> dict[str, tuple[float, str | None]]:
    sizes: dict[str, tuple[float, str | None]] = {}
    for axis in "xyz":
        meters = found.get(f"VoxelSize{axis.upper()}")
        _put(sizes, axis, None if meters is None else meters * 1e6, "µm")
    _put(sizes, "t", found.get("TimeInterval"), "s")
    return sizes


def _put(sizes: dict[str, tuple[float, str | None]], axis: str, value: Any, unit: str | None) -> None:
    """Note a size where it is a number above 0 with a unit that is known; a pixel is no unit."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return
    known = UNITS.get((unit or "").strip().lower())
    if known is not None and 0 < number < float("inf"):
        sizes[axis] = (number, known)


def _color(text: str | None) -> str | None:
    """OME-XML has red, green, blue and opacity as one signed number of 32 bits."""
    try:
        return None if text is None else f"{(int(text) & 0xFFFFFFFF) >> 8:06X}"
    except ValueError:
        return None
