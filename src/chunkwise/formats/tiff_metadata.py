"""What a TIFF says of its image: sizes, units, names and colours of channels; by OME-XML, by ImageJ, by LSM."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from chunkwise.ngff.beside import OME_XML
from chunkwise.ngff.model import AXIS_TYPES, Channel
from chunkwise.ngff.units import standard_unit

__all__ = ["TiffFacts", "facts_of", "facts_of_ome", "parse_xml", "unused_xml"]

#: Units by which a file says that it does not know the size.
NO_UNITS: Final = ("", "pixel", "pixels")

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
        sizes = _by_imagej(found, series.keyframe)
        names = [words for key, words in NOT_CARRIED_OF_IMAGEJ.items() if key in found]
        dropped = (f"{', '.join(names)}: not carried into the result",) if names else ()
        return TiffFacts(sizes=sizes.known, rgb=rgb, dropped=(*sizes.refused, *dropped))
    if series.kind == "lsm" and tif.lsm_metadata:
        sizes = _by_lsm(tif.lsm_metadata)
        return TiffFacts(sizes=sizes.known, rgb=rgb, dropped=tuple(sizes.refused))
    return TiffFacts(rgb=rgb, dropped=unused_xml(tif, series))


def unused_xml(tif: Any, series: Any) -> tuple[str, ...]:
    """Say of a TIFF with OME-XML that it does not count; tifffile reads its planes as those of any TIFF."""
    if series.kind == "ome" or "<OME" not in (tif.pages.first.description or "")[:2000]:
        return ()
    return (
        "its OME-XML is broken or does not fit its planes, so axes, sizes, names and colours are not taken from it",
    )


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
    sizes = _Sizes()
    for axis in "xyz":
        name = f"PhysicalSize{axis.upper()}"
        sizes.put(axis, pixels.get(name), pixels.get(f"{name}Unit", "µm"))
    sizes.put("t", pixels.get("TimeIncrement"), pixels.get("TimeIncrementUnit", "s"))
    entries = [node for node in pixels if _tag(node) == "Channel"]
    channels = tuple(
        Channel(index, node.get("Name") or str(index), _color(node.get("Color"))) for index, node in enumerate(entries)
    )
    tags = {_tag(node) for node in root.iter()}
    dropped = [words for tag, words in NOT_CARRIED.items() if tag in tags]
    told = (f"{', '.join(dropped)}: only in OME/METADATA.ome.xml, not in the image's own metadata",) if dropped else ()
    return TiffFacts(image.get("Name") or "", sizes.known, channels, rgb, (*sizes.refused, *told), attached)


class _Sizes:
    """Sizes of a voxel, and the time step: what can be taken of what a file says."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[float, str | None]] = {}
        self.refused: list[str] = []
        """What cannot be taken, in words."""

    def put(self, axis: str, value: Any, unit: str) -> None:
        """Note what a file says of an axis; None where it says nothing."""
        if value is None or unit.strip().lower() in NO_UNITS:
            return
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = 0.0
        known = standard_unit(unit, AXIS_TYPES[axis])
        if known is not None and 0 < number < float("inf"):
            self.known[axis] = (number, known)
        else:
            of = "time" if axis == "t" else "length"
            self.refused.append(f"'{value} {unit}' along {axis} is not taken, because it is no {of} above 0")


def _by_imagej(found: Mapping[str, Any], page: Any) -> _Sizes:
    sizes = _Sizes()
    # The program writes the sign for micro as an escape of Java's.
    said = {name: re.sub(r"\\u00b5", "µ", str(found[name]), flags=re.I) for name in found if name.endswith("unit")}
    unit = said.get("unit", "")
    units = {axis: said.get(f"{axis}unit", unit) for axis in "yz"}
    for axis, tag in (("x", "XResolution"), ("y", "YResolution")):
        entry = page.tags.get(tag)
        if entry is not None and entry.value[0]:
            sizes.put(axis, entry.value[1] / entry.value[0], units.get(axis, unit))
    sizes.put("z", found.get("spacing"), units["z"])
    sizes.put("t", found.get("finterval"), said.get("tunit", "sec"))
    return sizes


def _by_lsm(found: Mapping[str, Any]) -> _Sizes:
    sizes = _Sizes()
    for axis in "xyz":
        meters = found.get(f"VoxelSize{axis.upper()}")
        sizes.put(axis, None if meters is None else meters * 1e6, "µm")
    sizes.put("t", found.get("TimeInterval") or None, "s")
    return sizes


def _color(text: str | None) -> str | None:
    """OME-XML has red, green, blue and opacity as one signed number of 32 bits."""
    try:
        return None if text is None else f"{(int(text) & 0xFFFFFFFF) >> 8:06X}"
    except ValueError:
        return None
