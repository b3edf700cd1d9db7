"""What only people know of a crate: title, licence, authors, and what the images show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.files import read_file
from chunkwise.provenance.biology import Biology, Channel, Term, parse_channel, parse_term
from chunkwise.provenance.graph import Graph, reference
from chunkwise.provenance.people import orcid_url, organization, person
from chunkwise.storage.yaml_text import parse_yaml

__all__ = ["Author", "CrateDetails", "add_people", "biology_from", "read_about"]

_LARGEST: Final = 2**20  # bytes of a file that a person writes by hand
_OF_BIOLOGY: Final = ("organism", "modality", "specimen", "biosample", "channels", "image_license")
_KEYS: Final = ("name", "description", "license", "authors", *_OF_BIOLOGY)
_OF_AUTHOR: Final = ("name", "orcid", "organization", "organization_url")
_OF_CHANNEL: Final = ("name", "shows")


@dataclass(frozen=True)
class Author:
    """Somebody who made the analysis."""

    name: str | None = None
    orcid: str | None = None
    organization: str | None = None
    organization_url: str | None = None


@dataclass(frozen=True)
class CrateDetails:
    """What only a person can say about a crate. All of it may be left out; the crate then says so."""

    name: str | None = None
    description: str | None = None
    license: str | None = None
    """A web address, an SPDX identifier such as ``CC-BY-4.0``, or a sentence."""
    author_name: str | None = None
    author_orcid: str | None = None
    organization: str | None = None
    """The author's; that of the first author is named as the publisher."""
    organization_url: str | None = None
    authors: tuple[Author, ...] = ()
    """More of them, after the one above."""
    biology: Biology | None = None
    """What the images show."""

    def everybody(self) -> list[Author]:
        """Return all authors; one about whom nothing is known where there is none."""
        first = Author(self.author_name, self.author_orcid, self.organization, self.organization_url)
        return [*([first] if first != Author() or not self.authors else []), *self.authors]


def add_people(graph: Graph, details: CrateDetails) -> None:
    """Name authors and publisher in the root of a crate; who was not named is said to be not named.

    Raises
    ------
    InputError
        If an ORCID or a web address is none.
    """
    people, organizations = [], []
    for author in details.everybody():
        if author.orcid and orcid_url(author.orcid) is None:
            raise InputError(f"'{author.orcid}' is not an ORCID; one looks like 0000-0002-1825-0097.")
        organizations.append(_organization(graph, author))
        people.append(person(graph, author.name, author.orcid, organizations[-1]))
    graph["./"]["author"] = reference(people)
    graph["./"]["publisher"] = reference(organizations[:1])


def _organization(graph: Graph, author: Author) -> str:
    if not author.organization:
        if author.organization_url:
            raise InputError("A web address of an organization was given without its name; give --organization too.")
        return graph.not_stated()
    url = author.organization_url
    if url is not None and not url.startswith(("https://", "http://")):
        raise InputError(f"'{url}' is not a web address; it has to begin with https://.")
    return organization(graph, author.organization, url)


def read_about(file: Path | str) -> CrateDetails:
    """Read the YAML file in which a person says all this.

    Raises
    ------
    InputError
        If it cannot be read, or has a key or a value that cannot be used.
    """
    file = Path(file)
    try:
        content = parse_yaml(read_file(file, largest=_LARGEST))
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror or error}.") from None
    except ValueError as error:
        raise InputError(f"{file} cannot be read: {error}; the help page of 'crate' shows an example.") from None
    what = f"The file {file}"
    known = _mapping(content, what, _KEYS)
    biology = _biology(known, what)
    authors = []
    for entry in _list(known, "authors", what):
        author = _mapping({"name": entry} if isinstance(entry, str) else entry, f"{what}, authors,", _OF_AUTHOR)
        authors.append(Author(*(_text(author, key, f"{what}, authors,") for key in _OF_AUTHOR)))
    return CrateDetails(
        name=_text(known, "name", what),
        description=_text(known, "description", what),
        license=_text(known, "license", what),
        authors=tuple(authors),
        biology=None if biology == Biology() else biology,
    )


def biology_from(content: object, what: str) -> Biology:
    """Read what :meth:`Biology.to_dict` returns.

    Raises
    ------
    InputError
        If it has a key or a value that cannot be used.
    """
    return _biology(_mapping(content, what, _OF_BIOLOGY), what)


def _biology(known: dict[str, Any], what: str) -> Biology:
    return Biology(
        organisms=tuple(_term(text, "organism", what) for text in _texts(known, "organism", what)),
        modalities=tuple(_term(text, "modality", what) for text in _texts(known, "modality", what)),
        specimen=_text(known, "specimen", what),
        biosample=_text(known, "biosample", what),
        channels=tuple(_channel(entry, f"{what}, channels,") for entry in _list(known, "channels", what)),
        license=_text(known, "image_license", what),
    )


def _mapping(content: object, what: str, known: Iterable[str]) -> dict[str, Any]:
    if not isinstance(content, dict) or not content:
        raise InputError(f"{what} has to contain lines 'key: value', with the keys {', '.join(known)}.")
    for key in content:
        if key not in known:
            raise InputError(f"{what} has the unknown key '{str(key)[:40]}'; it may have {', '.join(known)}.")
    return content


def _text(content: dict[str, Any], key: str, what: str) -> str | None:
    value = content.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{what} has no text in '{key}'; put the text in quotation marks.")
    return value.strip()


def _list(content: dict[str, Any], key: str, what: str) -> list[Any]:
    value = content.get(key) or []
    if not isinstance(value, list):
        raise InputError(f"{what} has no list in '{key}'; begin each line below it with '- '.")
    return value


def _texts(content: dict[str, Any], key: str, what: str) -> list[str]:
    value = content.get(key)
    entries = value if isinstance(value, list) else [value]
    return [text for entry in entries if (text := _text({key: entry}, key, what)) is not None]


def _term(text: str, kind: str, what: str) -> Term:
    try:
        return parse_term(text, kind)
    except InputError as error:
        raise InputError(f"{what}: {error}") from None


def _channel(entry: object, what: str) -> Channel:
    if isinstance(entry, str):
        return parse_channel(entry)
    channel = _mapping(entry, what, _OF_CHANNEL)
    name = _text(channel, "name", what)
    if name is None:
        raise InputError(f"{what} has no text in 'name'.")
    return Channel(name, _text(channel, "shows", what))
