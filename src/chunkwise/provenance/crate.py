"""Run crates: a chain of run records as an RO-Crate 1.1 that follows the Process Run Crate profile 0.5.

A crate holds words about data, never the data: the metadata, every run record, a page to read, and,
where they were given, tables of blocks. Its size does not depend on the number of blocks, and the same
records give the same bytes.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from chunkwise.errors import InputError
from chunkwise.provenance.chain import in_order, joined_by_place
from chunkwise.provenance.entities import Graph, add_action, orcid_url, person, reference
from chunkwise.provenance.preview import preview_page
from chunkwise.provenance.record import RunRecord
from chunkwise.storage.outputs import check_output_file, write_atomically

__all__ = ["METADATA_FILE", "PREVIEW_FILE", "CrateDetails", "build_crate", "crate_files", "in_order"]

METADATA_FILE: Final = "ro-crate-metadata.json"
PREVIEW_FILE: Final = "ro-crate-preview.html"
CONTEXTS: Final = ("https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context")
PROFILE: Final = "https://w3id.org/ro/wfrun/process/0.5"

_ATTACHMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_ATTACHMENT_TYPES = {".tsv": "text/tab-separated-values", ".gz": "application/gzip", ".json": "application/json"}
_SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say; any fixed one would do


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
    """The author's, which is also named as the publisher."""
    organization_url: str | None = None


def build_crate(
    records: Sequence[RunRecord],
    output: Path | str,
    *,
    details: CrateDetails | None = None,
    attachments: Mapping[str, bytes] | None = None,
) -> None:
    """Write the crate of a chain of runs as a zip file.

    Parameters
    ----------
    records : sequence of RunRecord
        In any order; a record that is there twice counts once.
    output : path
        The zip file; it may exist only if it is empty.
    details : CrateDetails, optional
    attachments : mapping of str to bytes, optional
        Small files to lie in the crate, such as ``blocks-1.tsv.gz``. One that a record names as
        ``blocks["table"]`` is linked to that run.

    Raises
    ------
    InputError
        If there is no record, two differ under one id, a detail cannot be used, or the output exists.
    """
    check_output_file(output)
    files = crate_files(records, details=details, attachments=attachments)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    write_atomically(output, buffer.getvalue())


def crate_files(
    records: Sequence[RunRecord],
    *,
    details: CrateDetails | None = None,
    attachments: Mapping[str, bytes] | None = None,
) -> dict[str, bytes]:
    """Return the files of the crate by their name; parameters and errors as :func:`build_crate`."""
    details = details or CrateDetails()
    records = in_order(records)
    files = dict(_checked_attachments(attachments or {}))
    graph = Graph()
    graph.add(METADATA_FILE, "CreativeWork", about={"@id": "./"}, conformsTo={"@id": "https://w3id.org/ro/crate/1.1"})
    graph.add("./", "Dataset")
    graph.add(PREVIEW_FILE, "CreativeWork", name="Page to read", about={"@id": "./"}, encodingFormat="text/html")

    tables: dict[str, list[str]] = {}
    for name, content in files.items():
        _add_file(graph, name, content, "Further file of the runs")
        for record in records:
            if record.blocks is not None and record.blocks.get("table") == name:
                tables.setdefault(record.id, []).append(name)

    actions = []
    for number, (record, joined) in enumerate(zip(records, joined_by_place(records), strict=True), start=1):
        step = f"{record.command}-{number}"
        name = f"records/{step}.json"
        files[name] = record.to_json().encode()
        actions.append(add_action(graph, joined, step, name, tables.get(record.id, ())))
        _add_file(graph, name, files[name], f"Run record of step {number}", about={"@id": f"#{step}"})

    _fill_root(graph, records, actions, details)
    document = {"@context": list(CONTEXTS), "@graph": graph.entities()}
    files[METADATA_FILE] = (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    files[PREVIEW_FILE] = preview_page(graph["./"], records).encode()
    return files


def _fill_root(graph: Graph, records: Sequence[RunRecord], actions: Sequence[str], details: CrateDetails) -> None:
    root = graph["./"]
    commands = " → ".join(record.command for record in records)
    runs = "one run" if len(records) == 1 else f"{len(records)} runs"
    root["name"] = details.name or f"Run of chunkwise: {commands}"
    root["description"] = details.description or (
        f"What {runs} of chunkwise read, did and wrote ({commands}). The data are not in this crate; it says where "
        "they lay and how to recognise them."
    )
    # The day of the last run, not of building, so that the same records give the same crate.
    last = max(datetime.fromisoformat(record.end) for record in records)
    root["datePublished"] = last.astimezone(UTC).date().isoformat()
    root["license"] = reference([_license(graph, details.license)])
    organization = _organization(graph, details)
    if details.author_orcid and orcid_url(details.author_orcid) is None:
        raise InputError(f"'{details.author_orcid}' is not an ORCID; one looks like 0000-0002-1825-0097.")
    root["author"] = reference([person(graph, details.author_name, details.author_orcid, organization)])
    root["publisher"] = reference([organization])
    root["conformsTo"] = reference([graph.add(PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")])
    data = [entity["@id"] for entity in graph.entities() if entity["@type"] in ("File", "Dataset")]
    root["hasPart"] = reference([identifier for identifier in data if identifier != "./"])
    root["mentions"] = reference(actions)


def _license(graph: Graph, text: str | None) -> str:
    """Add the licence, or the statement that there is none: data without one may not simply be reused."""
    if not text:
        return graph.add(
            "#license-not-stated",
            "CreativeWork",
            name="No licence stated",
            description="Whoever built this crate named no licence; ask them before you reuse it.",
        )
    if text.startswith(("https://", "http://")):
        return graph.add(text, "CreativeWork", name=text, description="The licence, under its web address.", url=text)
    if _SPDX.fullmatch(text):
        address = f"https://spdx.org/licenses/{text}"
        return graph.add(address, "CreativeWork", name=text, description=f"The licence {text}.", url=address)
    return graph.add("#license", "CreativeWork", name="Licence", description=text)


def _organization(graph: Graph, details: CrateDetails) -> str:
    if not details.organization:
        if details.organization_url:
            raise InputError("A web address of an organization was given without its name; give --organization too.")
        return graph.not_stated()
    url = details.organization_url
    if url is not None and not url.startswith(("https://", "http://")):
        raise InputError(f"'{url}' is no web address; it has to begin with https://.")
    identifier = url or f"#organization-{quote(details.organization, safe='')}"
    return graph.add(identifier, "Organization", name=details.organization, url=url or "about:blank")


def _add_file(graph: Graph, name: str, content: bytes, description: str, **properties: Any) -> None:
    graph.add(
        name,
        "File",
        name=name,
        description=description,
        encodingFormat=_ATTACHMENT_TYPES.get(Path(name).suffix, "application/octet-stream"),
        contentSize=str(len(content)),
        sha256=hashlib.sha256(content).hexdigest(),
        **properties,
    )


def _checked_attachments(attachments: Mapping[str, bytes]) -> Mapping[str, bytes]:
    for name in attachments:
        if not _ATTACHMENT.fullmatch(name) or name in (METADATA_FILE, PREVIEW_FILE):
            raise InputError(f"'{name}' cannot be the name of a file in a crate.")
    return dict(sorted(attachments.items()))
