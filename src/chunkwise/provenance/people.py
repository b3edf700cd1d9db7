"""Who did something, and under which licence: people, organisations and licences as entities of a crate."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote

from chunkwise.provenance.graph import Graph, reference

__all__ = ["NOT_STATED_LICENCE", "licence", "orcid_url", "organization", "person"]

#: The entity that stands where no licence was named; see :func:`licence`.
NOT_STATED_LICENCE: Final = "#license-not-stated"

_ORCID = re.compile(r"(?:https?://orcid\.org/)?(\d{4}-\d{4}-\d{4}-\d{3}[\dX])")
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_URL = re.compile(r"https?://[^\s<>\"{}|\\^`]+")


def orcid_url(text: str | None) -> str | None:
    """Return the address of an ORCID, or None where the text is none (its last character checks the others)."""
    match = _ORCID.fullmatch((text or "").strip())
    if match is None:
        return None
    digits = match.group(1).replace("-", "")
    total = 0
    for digit in digits[:-1]:
        total = (total + int(digit)) * 2
    check = (12 - total % 11) % 11
    return f"https://orcid.org/{match.group(1)}" if digits[-1] == ("X" if check == 10 else str(check)) else None


def person(graph: Graph, name: str | None, orcid: str | None, affiliation: str | None = None) -> str:
    """Add a person, named by the ORCID where there is a valid one."""
    if not name and orcid_url(orcid) is None:
        return graph.not_stated()
    identifier = orcid_url(orcid) or f"#person-{quote(str(name), safe='')}"
    link = None if affiliation is None else reference([affiliation])
    return graph.add(identifier, "Person", name=name or identifier, affiliation=link)


def licence(graph: Graph, text: str | None) -> str:
    """Add a licence: a web address, an SPDX identifier such as ``CC-BY-4.0``, or a sentence.

    Without one, add the statement that there is none: what has no licence may not simply be reused.
    """
    if not text:
        return graph.add(
            NOT_STATED_LICENCE,
            "CreativeWork",
            name="No licence stated",
            description="No licence was named for this crate; ask those who built it before you reuse it.",
        )
    if _URL.fullmatch(text):
        return graph.add(text, "CreativeWork", name=text, description="The licence, under its web address.", url=text)
    if _SPDX.fullmatch(text):
        address = f"https://spdx.org/licenses/{text}"
        return graph.add(address, "CreativeWork", name=text, description=f"The licence {text}.", url=address)
    return graph.add(f"#license-{quote(text[:60], safe='')}", "CreativeWork", name="Licence", description=text)


def organization(graph: Graph, name: str, url: str | None = None) -> str:
    """Add an organisation, named by its web address where there is one."""
    identifier = url or f"#organization-{quote(name, safe='')}"
    return graph.add(identifier, "Organization", name=name, url=url or "about:blank")
