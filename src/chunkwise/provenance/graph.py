"""The entities of an RO-Crate, and links between them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from chunkwise.provenance.fields import Json

__all__ = ["NOT_STATED", "Graph", "kinds_of", "reference", "targets"]

#: The entity that stands where nobody was named; see :func:`Graph.not_stated`.
NOT_STATED: Final = "#not-stated"


class Graph:
    """The entities of a crate by their identifier, in the order in which they came."""

    def __init__(self) -> None:
        self._entities: dict[str, dict[str, Json]] = {}

    def add(self, identifier: str, kind: str | Sequence[str], /, **properties: Json) -> str:
        """Add an entity, or fill the gaps of the one that has this identifier; properties of None are left out."""
        kinds = kind if isinstance(kind, str) else list(kind)
        entity = self._entities.setdefault(identifier, {"@id": identifier, "@type": kinds})
        for name, value in properties.items():
            if value is not None and value != []:
                entity.setdefault(name, value)
        return identifier

    def link(self, identifier: str, name: str, further: Sequence[str], /) -> None:
        """Let a property of an entity lead to further entities, beside those that it leads to already."""
        if further:
            before = targets(self._entities[identifier].get(name))
            self._entities[identifier][name] = reference([*before, *further])

    def __contains__(self, identifier: str) -> bool:
        return identifier in self._entities

    def __getitem__(self, identifier: str) -> dict[str, Json]:
        return self._entities[identifier]

    def entities(self) -> list[dict[str, Json]]:
        """Return all entities."""
        return list(self._entities.values())

    def value(self, identifier: str, name: str, value: Json, /, **properties: Json) -> str:
        """Add a named value; what is no plain number, text or truth value is written as JSON text."""
        if value is None:
            value = "not set"
        elif isinstance(value, dict | list):
            value = json.dumps(value, ensure_ascii=False)
        return self.add(identifier, "PropertyValue", name=name, value=value, **properties)

    def not_stated(self) -> str:
        """Add the entity that says that a person or organisation was not named.

        The profile asks for an agent, an author and a publisher. A made-up name would be a lie and a
        missing one is invalid, so the crate says in words that nobody was named.
        """
        return self.add(
            NOT_STATED,
            "Organization",
            name="Not stated",
            description="Nobody was named when this was recorded.",
            url="about:blank",
        )


def reference(identifiers: Sequence[str]) -> Json:
    """Return links to entities; a single one is not put in a list, as RO-Crate 1.1 recommends."""
    unique = list(dict.fromkeys(identifiers))
    links = [{"@id": identifier} for identifier in unique]
    return links[0] if len(links) == 1 else links


def targets(value: Json) -> list[str]:
    """Return the identifiers to which a property leads, whether it is one link, a list or missing."""
    return [link["@id"] for link in (value if isinstance(value, list) else [value]) if isinstance(link, dict)]


def kinds_of(entity: Mapping[str, Json]) -> list[str]:
    """Return the types of an entity."""
    kinds = entity["@type"]
    return list(kinds) if isinstance(kinds, list) else [kinds]
