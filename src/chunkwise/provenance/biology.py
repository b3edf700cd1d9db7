"""What images show, and how they were taken: organism, specimen, modality, channels, by the terms of REMBI.

REMBI is the community's list of what should be said of an image. Its parts are written as the crates of OME-Zarr
data do it that many public collections have: image, acquisition, specimen, biosample, organism. Those crates use
some terms without defining them, so that they are no valid RO-Crates; here every term has a meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from chunkwise.errors import InputError
from chunkwise.files import is_zip, open_zip, read_file
from chunkwise.provenance.attachments import UNREADABLE
from chunkwise.provenance.fields import Json
from chunkwise.provenance.graph import Graph, kinds_of, reference
from chunkwise.provenance.people import NOT_STATED_LICENCE, licence
from chunkwise.storage.json_text import parse_json

__all__ = [
    "METADATA_FILE",
    "TERMS",
    "Biology",
    "Channel",
    "Term",
    "add_biology",
    "biology_of",
    "parse_channel",
    "parse_term",
    "read_source_crate",
]

_OBO: Final = "http://purl.obolibrary.org/obo/"
#: What the context of RO-Crate lacks. The words are those of the collections' crates; where these define one, the
#: meaning is theirs. ``resultOf``, ``fbbi_id`` and ``image_acquisition`` they leave undefined.
TERMS: Final[dict[str, str]] = {
    "biosample": f"{_OBO}OBI_0002648",
    "fbbi_id": "http://schema.org/measurementTechnique",
    "image_acquisition": f"{_OBO}OBI_0000185",
    "organism_classification": "https://schema.org/taxonomicRange",
    "resultOf": "http://www.w3.org/ns/prov#wasGeneratedBy",
    "specimen": f"{_OBO}HSO_0000308",
}

METADATA_FILE: Final = "ro-crate-metadata.json"
_LARGEST: Final = 16 * 2**20  # bytes of the metadata of a source; those of the collections have some kilobytes

_LONGEST: Final = 2000  # characters of one text of a source; more is no name

_TAXON = re.compile(rf"(?:{_OBO}NCBITaxon_|NCBITaxon[:_]|NCBI:txid|txid)(\d{{1,9}})\b", re.IGNORECASE)
_FBBI = re.compile(rf"(?:{_OBO}|obo:)?FBbi[:_](\d{{8}})\b", re.IGNORECASE)
_ORGANISM, _MODALITY = "organism", "modality"
#: Of each kind of term: how its identifier is found in a text, its beginning, its list, and an example.
_LISTS: Final = {
    _ORGANISM: (_TAXON, "NCBITaxon", f"{_OBO}ncbitaxon.owl", "'Homo sapiens (NCBI:txid9606)'"),
    _MODALITY: (_FBBI, "FBbi", f"{_OBO}fbbi.owl", "'confocal microscopy (FBbi:00000251)'"),
}
_LOOKS_LIKE_ONE = re.compile(r"FBbi|NCBI|txid", re.IGNORECASE)


@dataclass(frozen=True)
class Term:
    """An organism or a modality: a name, a number in the list of such, or both."""

    kind: str
    """``organism`` or ``modality``."""
    name: str | None = None
    number: str | None = None
    """Digits: of an organism in the NCBI taxonomy, of a modality in the FBbi list."""

    def __str__(self) -> str:
        """As people write it; :func:`parse_term` reads it."""
        number = self.number and f"{'NCBI:txid' if self.kind == _ORGANISM else 'FBbi:'}{self.number}"
        return f"{self.name} ({number})" if self.name and number else str(self.name or number)


@dataclass(frozen=True)
class Channel:
    """A channel of the images and what it shows."""

    name: str
    shows: str | None = None


@dataclass(frozen=True)
class Biology:
    """What is known of the images that an analysis began with."""

    organisms: tuple[Term, ...] = ()
    modalities: tuple[Term, ...] = ()
    specimen: str | None = None
    """What was imaged and how it was prepared."""
    biosample: str | None = None
    """What the specimen was taken from, such as the cell line or the strain."""
    channels: tuple[Channel, ...] = ()
    license: str | None = None
    """Of the images, which may be another one than that of the crate."""

    def __bool__(self) -> bool:
        """Say whether anything is stated."""
        return self != Biology()

    def or_else(self, other: Biology) -> Biology:
        """Take from another one what is not stated in this."""
        return Biology(*(getattr(self, item.name) or getattr(other, item.name) for item in fields(self)))

    def to_dict(self) -> dict[str, Json]:
        """Return it as JSON values, with the keys of the file that people write; what is not stated is left out."""
        channels = [{"name": one.name} | ({"shows": one.shows} if one.shows else {}) for one in self.channels]
        content: dict[str, Json] = {
            "organism": [str(term) for term in self.organisms],
            "modality": [str(term) for term in self.modalities],
            "specimen": self.specimen,
            "biosample": self.biosample,
            "channels": channels,
            "image_license": self.license,
        }
        return {key: value for key, value in content.items() if value}


def parse_term(text: str, kind: str) -> Term:
    """Read a term as people write it: ``Homo sapiens``, ``NCBI:txid9606``, ``Homo sapiens (NCBI:txid9606)``.

    Raises
    ------
    InputError
        If there is nothing, or an identifier that cannot be one of this kind.
    """
    pattern, _, _, example = _LISTS[kind]
    found = pattern.search(text)
    rest = text if found is None else text[: found.start()] + text[found.end() :]
    name = " ".join(rest.replace("()", " ").strip(" |()=,;\t\n").split())
    if _LOOKS_LIKE_ONE.search(name) or not (name or found):
        raise InputError(f"'{text[:80]}' cannot be read as the {kind}; write it like {example}, or only the name.")
    return _term(kind, name or None, found.group(1) if found else None)


def _term(kind: str, name: str | None, number: str | None) -> Term:
    """Numbers of organisms have no leading zeros, those of modalities have eight digits."""
    return Term(kind, name, str(int(number)) if number and kind == _ORGANISM else number)


def parse_channel(text: str) -> Channel:
    """Read a channel as ``DAPI`` or ``DAPI: nuclei``.

    Raises
    ------
    InputError
        If it has no name.
    """
    name, _, shows = (part.strip() for part in text.partition(":"))
    if not name:
        raise InputError(f"'{text[:80]}' is not a channel; write it like 'DAPI: nuclei', or only the name.")
    return Channel(name, shows or None)


def add_biology(graph: Graph, biology: Biology, images: Sequence[str], number: int = 1) -> None:
    """Add what images show, and link it to them.

    Parameters
    ----------
    graph : Graph
    biology : Biology
    images : sequence of str
        Identifiers of the images; without any, the crate itself is what it is said of.
    number : int
        Tells it from what is said of other images of the crate.
    """
    which = f"-{number}" if number > 1 else ""
    organisms = [_add_term(graph, term) for term in biology.organisms]
    modalities = [_add_term(graph, term) for term in biology.modalities]
    specimen = None
    if organisms or biology.biosample or biology.specimen:
        biosample = graph.add(
            f"#biosample{which}",
            "biosample",
            name=biology.biosample or "Biosample",
            organism_classification=reference(organisms) if organisms else None,
        )
        specimen = graph.add(
            f"#specimen{which}", "specimen", name=biology.specimen or "Specimen", biosample=reference([biosample])
        )
    channels = [
        graph.value(f"#channel{which}-{position}", "channel", channel.name, description=channel.shows)
        for position, channel in enumerate(biology.channels, 1)
    ]
    acquisition = []
    if modalities or specimen:
        acquisition.append(
            graph.add(
                f"#acquisition{which}",
                "image_acquisition",
                name="Acquisition of the images",
                fbbi_id=reference(modalities) if modalities else None,
                specimen=reference([specimen]) if specimen else None,
            )
        )
    for image in images or ("./",):
        graph.link(image, "resultOf", acquisition)
        graph.link(image, "variableMeasured", channels)
        if biology.license:
            graph.link(image, "license", [licence(graph, biology.license)])
    graph.link("./", "about", organisms)


def _add_term(graph: Graph, term: Term) -> str:
    _, prefix, whole, _ = _LISTS[term.kind]
    if term.number is None:
        return graph.add(f"#{term.kind}-{quote(str(term.name), safe='')}", "DefinedTerm", name=term.name)
    identifier = f"{_OBO}{prefix}_{term.number}"
    return graph.add(
        identifier,
        "DefinedTerm",
        name=term.name or f"{prefix}:{term.number}",
        termCode=f"{prefix}:{term.number}",
        inDefinedTermSet=whole,
        url=identifier,
    )


def read_source_crate(file: Path | str) -> Biology:
    """Read what an image's own crate says of it.

    Parameters
    ----------
    file : path
        Its ``ro-crate-metadata.json``, or a crate as a zip file: of the collections, of chunkwise, or of others that
        use the same words. What they leave undefined or misspell is understood all the same.

    Raises
    ------
    InputError
        If it cannot be read, is no such file, or says nothing about organism, modality, specimen, channels or licence.
    """
    file = Path(file)
    try:
        if is_zip(file):
            with open_zip(file) as archive:
                entry = archive.getinfo(METADATA_FILE)
                content = archive.read(entry) if entry.file_size <= _LARGEST else b""
        else:
            content = read_file(file, largest=_LARGEST)
        document = parse_json(content)
    except KeyError:
        raise InputError(f"{file} is a zip file without {METADATA_FILE}, so it is not a crate.") from None
    except RecursionError:
        raise InputError(f"{file} is nested too deeply to be a crate's {METADATA_FILE}.") from None
    except UNREADABLE as error:
        raise InputError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    except ValueError:
        raise InputError(f"{file} is not JSON, or far too large; give an image's {METADATA_FILE}.") from None
    found = biology_of(document)
    if found is None:
        raise InputError(f"{file} is not an RO-Crate's {METADATA_FILE}: it has no '@graph' of entities.")
    if not found:
        raise InputError(f"{file} says nothing about organism, modality, specimen, channels or licence.")
    return found


def biology_of(document: Json) -> Biology | None:
    """Return what the metadata of a crate say of images; None where they are not of an RO-Crate."""
    graph = document.get("@graph") if isinstance(document, dict) else None
    if not isinstance(graph, list) or not all(isinstance(entity, dict) and "@type" in entity for entity in graph):
        return None
    names = {str(one.get("@id")): one["name"] for one in graph if isinstance(one.get("name"), str)}
    sentences = {str(one.get("@id")): one.get("description") for one in graph}
    root: Mapping[str, Json] = next((one for one in graph if one.get("@id") == "./"), {})
    images = [one for one in graph if "resultOf" in one] or [root]
    return Biology(
        organisms=tuple(_terms(graph, ("organism_classification", "taxonomicRange"), names, _ORGANISM)),
        modalities=tuple(_terms(graph, ("fbbi_id", "measurementTechnique"), names, _MODALITY)),
        specimen=_said_of(graph, "specimen"),
        biosample=_said_of(graph, "biosample"),
        channels=tuple(_channels(graph)),
        license=next((text for one in images for text in _license_of(one, sentences)), None),
    )


def _values(entity: Mapping[str, Json], *keys: str) -> Iterator[str]:
    """Give the texts and the targets of links under some keys."""
    for key in keys:
        value = entity.get(key)
        for one in value if isinstance(value, list) else [value]:
            text = one.get("@id") if isinstance(one, dict) else one
            if isinstance(text, str) and 0 < len(text.strip()) <= _LONGEST:
                yield text.strip()


def _terms(graph: Sequence[Mapping[str, Any]], keys: Sequence[str], names: Mapping[str, str], kind: str) -> list[Term]:
    pattern = _LISTS[kind][0]
    found: dict[Term, None] = {}
    for entity in graph:
        for text in _values(entity, *keys):
            number = pattern.search(text)
            name = names.get(text) if number else names.get(text, text)
            if name is not None and (_LOOKS_LIKE_ONE.search(name) or name.startswith("#")):
                name = None  # an identifier in the place of a name
            if number:
                found[_term(kind, name, number.group(1))] = None
            elif name:
                found[Term(kind, name)] = None
    return list(found)


def _said_of(graph: Sequence[Mapping[str, Any]], kind: str) -> str | None:
    for entity in graph:
        if kind in kinds_of(entity):
            for text in _values(entity, "description", "name"):
                if text.lower() != kind:  # as it is called where nobody said more
                    return text
    return None


def _channels(graph: Sequence[Mapping[str, Any]]) -> Iterator[Channel]:
    for entity in graph:
        if str(entity.get("@id")).startswith("#channel-") and isinstance(entity.get("value"), str):
            shows = entity.get("description")
            yield Channel(entity["value"], shows if isinstance(shows, str) else None)


def _license_of(entity: Mapping[str, Any], sentences: Mapping[str, Json]) -> Iterator[str]:
    """Give the licence, also in British spelling, which RO-Crate does not know."""
    for text in _values(entity, "license", "licence"):
        sentence = sentences.get(text)
        if text.startswith("https://spdx.org/licenses/"):
            yield text.removeprefix("https://spdx.org/licenses/").removesuffix(".html")
        elif not text.startswith("#"):
            yield text
        elif isinstance(sentence, str) and text != NOT_STATED_LICENCE:
            yield sentence
