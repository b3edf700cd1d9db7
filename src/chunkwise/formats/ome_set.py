"""OME-TIFF in several files: OME-XML says which plane lies where, in a TIFF of the set or in a companion file."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import numpy as np

from chunkwise.errors import InputError
from chunkwise.files import read_file
from chunkwise.formats.described import DescribedFile, amend
from chunkwise.formats.tiff_array import LETTERS, TiffArray, channels_of
from chunkwise.formats.tiff_files import is_tiff, noted, open_member, read_member
from chunkwise.formats.tiff_metadata import facts_of_ome, parse_xml
from chunkwise.formats.tiff_planes import SeriesPlanes, SetPlanes, explained
from chunkwise.formats.tiff_refused import refuse_broken, refuse_cut, refuse_undecodable
from chunkwise.ngff.model import bare_name
from chunkwise.storage.location import Location

__all__ = ["in_other_files", "open_file_as_store", "set_as_store"]


#: Planes of an image at most: what is believed of a file that may say anything.
MOST_PLANES = 2**24


def open_file_as_store(location: Location) -> DescribedFile:
    """Open a companion file as a store; see :func:`chunkwise.storage.foreign.foreign_store`."""
    assert location.foreign is not None
    path = location.foreign.path
    content = read_file(path, lambda real: real == path or location.allows(real), largest=location.largest)
    return set_as_store(location, content, "")


def in_other_files(tif: Any, path: str) -> bool:
    """Whether the OME-XML of a TIFF says that planes lie in other files, or that it stands in another."""
    if not tif.ome_metadata:
        return False
    root, own = parse_xml(tif.ome_metadata), os.path.basename(path)
    if _named(root, "BinaryOnly"):
        return True
    uuids = [node for node in root.iter() if _tag(node) == "UUID"]
    several = len({uuid.get("FileName", own) for uuid in uuids}) > 1
    return several or any(not _is_mine(uuid, root, path, own) for uuid in uuids)


def set_as_store(location: Location, text: str | bytes, own: str) -> DescribedFile:
    """See files that belong together as one store.

    Parameters
    ----------
    location : Location
        Of the file that was given.
    text : str or bytes
        Its OME-XML.
    own : str
        Its name, where it may hold planes, too.

    Raises
    ------
    InputError
        If the OME-XML does not say of every plane where it lies, or a file is not there or is another.
    PolicyError
        If a file lies elsewhere than beside the first.
    """
    assert location.foreign is not None
    given, said = location.foreign.path, dict(location.foreign.said)
    files = [os.path.basename(given)]
    root = _parsed(text, given)
    for elsewhere in _named(root, "BinaryOnly")[:1]:
        name = elsewhere.get("MetadataFile", "")
        text, own = _xml_of(location, name)
        root = _parsed(text, os.path.join(location.foreign.folder, name))
        files.append(name)
        wanted, found = elsewhere.get("UUID"), root.get("UUID")
        if wanted and found and wanted != found:
            raise InputError(
                f"{given} belongs to the OME-XML {wanted}, and {name} calls itself {found}; put the files of one set "
                "into one folder."
            )
    if "axes" in said:
        raise InputError(f"--axes is for files that do not say what their planes are; the OME-XML of {given} says it.")
    number, image = _image(root, said.get("series"), given)
    pixels = _named(image, "Pixels")[0]
    told = _Told.of(root, pixels, own, given, lambda name: _count(location, name))
    members = _Members(location, told)
    like = members.open(told.places[0])
    letters = "".join(LETTERS[axis] for axis in members.page.axes)
    kept = [axis for axis, size in zip("tcz", told.shape, strict=True) if size > 1]
    outer = tuple(size for size in told.shape if size > 1)
    array = TiffArray(SetPlanes(outer, told.places, members.open, like), "".join(kept) + letters, given)
    facts = facts_of_ome(root, text, number, members.page)
    sizes, channels, remarks = amend(said, array.axes, facts.sizes, channels_of(facts, array), given)
    files += sorted(set(told.names) - set(files))
    return DescribedFile(
        name=said.get("name") or facts.name or bare_name(location),
        axes=array.axes,
        levels=[array],
        files=tuple(files),
        sizes={axis: value for axis, value in sizes.items() if axis in array.axes},
        channels=channels,
        remarks=(*remarks, *(f"{given}: {words}" for words in facts.dropped)),
        attached=facts.attached,
        check=members.check,
    )


def _tag(node: Element) -> str:
    return node.tag.rpartition("}")[2]


def _named(node: Element, tag: str) -> list[Element]:
    return [child for child in node if _tag(child) == tag]


def _parsed(text: str | bytes, path: str) -> Element:
    try:
        root = parse_xml(text)
    except (ParseError, ValueError) as error:
        raise InputError(f"The OME-XML of {path} cannot be read: {error}.") from None
    if _tag(root) != "OME":
        raise InputError(f"{path} is an XML file, but not OME-XML.")
    return root


def _xml_of(location: Location, name: str) -> tuple[str | bytes, str]:
    """The OME-XML of another file of the set, and the file's name where it may hold planes, too."""
    if not is_tiff(location, name):
        return read_member(location, name), ""
    tif, _ = open_member(location, name)
    return tif.ome_metadata or "", name


def _count(location: Location, name: str) -> int:
    tif, file = open_member(location, name)
    with explained(name), file.lock:
        return len(tif.pages)


def _image(root: Element, wanted: str | None, path: str) -> tuple[int, Element]:
    images = _named(root, "Image")
    if not all(_named(image, "Pixels") for image in images) or not images:
        raise InputError(f"The OME-XML of {path} does not describe an image.")
    if wanted is None and len(images) > 1:
        listed = ", ".join(f"{n} ({one.get('Name') or 'no name'})" for n, one in enumerate(images[:8]))
        raise InputError(f"{path} holds {len(images)} images; choose one with --series: {listed}.")
    number = int(wanted or 0)
    if number >= len(images):
        raise InputError(f"{path} has no image {number}; it holds {len(images)}, counted from 0.")
    return number, images[number]


def _is_mine(uuid: Element, root: Element, given: str, own: str) -> bool:
    """Whether it is the file with the OME-XML: it is known by its UUID, and may have been renamed.

    Writers put one OME-XML with one UUID into several files: a file that lies there under the name is not this one.
    """
    name = uuid.get("FileName", own)
    if name != own and os.path.lexists(os.path.join(os.path.dirname(given), os.path.basename(name))):
        return False
    mark = root.get("UUID")
    return name == own if not mark else (uuid.text or "").strip() == mark


def _file_of(data: Element, root: Element, given: str, own: str) -> str:
    """The file that a ``TiffData`` speaks of; nothing where it does not say."""
    for uuid in _named(data, "UUID")[:1]:
        return own if own and _is_mine(uuid, root, given, own) else uuid.get("FileName", "")
    return own


def _check_names(pixels: Element, path: str) -> None:
    """Refuse OME-XML by which two files are one, or one file is two."""
    names: dict[str, str] = {}
    for uuid in (node for data in _named(pixels, "TiffData") for node in _named(data, "UUID")):
        mark, name = (uuid.text or "").strip(), uuid.get("FileName", "")
        if mark and name and names.setdefault(mark, name) != name:
            raise InputError(
                f"The OME-XML of {path} gives the files {names[mark]} and {name} the same UUID, so nothing says which "
                "planes lie in which."
            )


@dataclass(frozen=True)
class _Told:
    """What OME-XML says of where the planes of an image lie."""

    shape: tuple[int, int, int]
    """Times, channels (samples of a pixel are one), planes."""
    plane: tuple[int, int, int]
    """Rows, columns, samples."""
    names: tuple[str, ...]
    uuids: tuple[str | None, ...]
    """Of the files, by which they call themselves."""
    places: np.ndarray[Any, Any]
    """Of each plane, in the order of ``shape``, the number of its file and its page in there."""

    @classmethod
    def of(cls, root: Element, pixels: Element, own: str, path: str, count: Callable[[str], int]) -> _Told:
        """Read it; ``count`` says how many pages a file has, where the OME-XML does not.

        Raises
        ------
        InputError
            If it does not say it of every plane, or says two things of one.
        """
        try:
            order = [axis for axis in reversed(pixels.get("DimensionOrder", "")) if axis in "TCZ"]
            size = {axis: int(pixels.get(f"Size{axis}", "")) for axis in "TCZYX"}
            samples = {int(one.get("SamplesPerPixel", 1)) for one in _named(pixels, "Channel")} or {1}
        except ValueError:
            order, size, samples = [], {}, set()
        if len(order) != 3 or min(size.values(), default=0) < 1 or len(samples) != 1 or size["C"] % min(samples):
            raise InputError(f"The OME-XML of {path} does not say legibly how large the image is.")
        (each,) = samples
        size["C"] //= each
        shape = [size[axis] for axis in order]
        if prod(shape) > MOST_PLANES:
            raise InputError(f"The OME-XML of {path} says that it has {prod(shape)} planes, which is implausible.")
        _check_names(pixels, path)
        numbers: dict[str, int] = {}
        uuids: dict[str, str | None] = {}
        places = np.full((prod(shape), 2), -1, np.int32)
        for data in _named(pixels, "TiffData"):
            name = _file_of(data, root, path, own)
            if not name:
                raise InputError(f"The OME-XML of {path} does not say in which file its planes lie.")
            uuids.setdefault(name, next(((node.text or "").strip() for node in _named(data, "UUID")), None))
            known = numbers.setdefault(name, len(numbers))
            try:
                first = [int(data.get(f"First{axis}", 0)) for axis in order]
                begin = int(np.ravel_multi_index(first, shape))
                page = int(data.get("IFD", 0))
                many = int(data.get("PlaneCount", data.get("NumPlanes", 1 if "IFD" in data.attrib else 0)))
            except (ValueError, OverflowError, TypeError):
                raise InputError(
                    f"The OME-XML of {path} names planes in {name} that the image does not have."
                ) from None
            many = many or count(name) - page
            if many < 1 or not 0 <= page < 2**31 - many or begin + many > len(places):
                raise InputError(f"The OME-XML of {path} names planes in {name} that the image does not have.")
            said = np.stack([np.full(many, known), np.arange(page, page + many)], axis=1)
            before = places[begin : begin + many]
            if ((before != said) & (before >= 0)).any():
                raise InputError(f"The OME-XML of {path} says of some planes in {name} that they lie elsewhere, too.")
            places[begin : begin + many] = said
        silent = np.flatnonzero(places[:, 0] < 0)
        if len(silent):
            index = np.unravel_index(silent[0], shape)
            which = ", ".join(f"{axis.lower()} {int(n)}" for axis, n in sorted(zip(order, index, strict=True)))
            raise InputError(
                f"The OME-XML of {path} does not say where {len(silent)} of its {len(places)} planes lie, the first "
                f"being {which}."
            )
        ordered = places.reshape(*shape, 2).transpose([*(order.index(axis) for axis in "TCZ"), 3]).reshape(-1, 2)
        return cls(
            (size["T"], size["C"], size["Z"]),
            (size["Y"], size["X"], each),
            tuple(numbers),
            tuple(uuids[name] for name in numbers),
            np.ascontiguousarray(ordered),
        )


class _Members:
    """The files of a set, whose pages are opened when they are read, and held to be like the first."""

    def __init__(self, location: Location, told: _Told) -> None:
        import tifffile

        self._location, self._told = location, told
        file, page = map(int, told.places[0])
        tif, opened = open_member(location, told.names[file])
        with explained(told.names[file]), opened.lock:
            if page >= len(tif.pages):
                raise self._no_page(told.names[file], page, len(tif.pages))
            self.page = tif.pages[page]
            refuse_undecodable(tifffile.TiffPageSeries([self.page]), told.names[file])
        if ("S" in self.page.axes) != (told.plane[2] > 1):
            raise InputError(
                f"The OME-XML of {self._given} says that a pixel has {told.plane[2]} samples, and in "
                f"{told.names[file]} it has {self.page.samplesperpixel}; they do not belong together."
            )
        self.axes = str(self.page.axes)
        self._shape = tuple({"Y": told.plane[0], "X": told.plane[1], "S": told.plane[2]}.get(a, 1) for a in self.axes)

    def open(self, place: Any) -> SeriesPlanes:
        """Open a page of a file; see :class:`chunkwise.formats.tiff_planes.SetPlanes`."""
        return SeriesPlanes(*self._open(place))

    def _open(self, place: Any) -> tuple[Any, Any, str]:
        import tifffile

        number, index = map(int, place)
        name = self._told.names[number]
        tif, file = open_member(self._location, name)
        with explained(name), file.lock:
            try:
                page = tif.pages[index]
            except IndexError:
                raise self._no_page(name, index, len(tif.pages)) from None
            series = tifffile.TiffPageSeries([page])
        wanted = (self._shape, self.axes, self.page.dtype)
        if (tuple(page.shape), page.axes, page.dtype) != wanted:
            raise InputError(
                f"Plane {index} of {name} has {_words(page.shape, page.dtype)}, and the other planes of "
                f"{self._given} have {_words(self._shape, self.page.dtype)}: it is not of this set, or the OME-XML is "
                "wrong."
            )
        return series, file, name

    @property
    def _given(self) -> str:
        assert self._location.foreign is not None
        return self._location.foreign.path

    def _no_page(self, name: str, index: int, count: int) -> InputError:
        return InputError(
            f"{self._given} says that a plane is plane {index} of {name}, counted from 0, which has {count}: the set "
            "is not whole, or not of one acquisition."
        )

    def check(self) -> None:
        """Look at every plane of every file; see :class:`chunkwise.storage.foreign.ForeignStore`."""
        for name, uuid in zip(self._told.names, self._told.uuids, strict=True):
            tif, opened = open_member(self._location, name)
            with explained(name), noted():
                refuse_cut(tif, opened, name)
                own = parse_xml(tif.ome_metadata).get("UUID") if tif.ome_metadata else None
            if own and uuid and own != uuid:
                raise InputError(
                    f"{self._given} belongs with the file {uuid}, and {name} calls itself {own}: it is of another set; "
                    "put the files of one set into one folder."
                )
        # Files one after the other, whatever the order of the planes is.
        for place in self._told.places[np.lexsort(self._told.places.T[::-1])]:
            series, file, name = self._open(place)
            with explained(name):
                refuse_broken(series, file.size, name)


def _words(shape: tuple[int, ...], dtype: Any) -> str:
    return f"{'x'.join(map(str, shape))} pixels of {dtype}"
