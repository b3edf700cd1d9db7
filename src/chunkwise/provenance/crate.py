"""Run crates: run records as an RO-Crate 1.1 that follows a Workflow Run profile 0.5.

Runs that have nothing to do with each other become a Process Run Crate: actions, side by side. A chain, in which
one run read what another wrote, becomes a Provenance Run Crate: the chain is told as a workflow, its runs as steps.

A crate holds words about data, never the data: the metadata, every run record, a page to read, and,
where they were given, tables of blocks. Its size does not depend on the number of blocks, and the same
records give the same bytes.
"""

from __future__ import annotations

import hashlib
import html
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.provenance.biology import METADATA_FILE, TERMS, Biology, add_biology
from chunkwise.provenance.carried import images_of
from chunkwise.provenance.chain import in_order, joined_by_place
from chunkwise.provenance.details import CrateDetails, add_people
from chunkwise.provenance.entities import Graph, add_action, add_attempts, licence, reference
from chunkwise.provenance.fields import Json
from chunkwise.provenance.graph import kinds_of
from chunkwise.provenance.preview import preview_page
from chunkwise.provenance.record import RunRecord
from chunkwise.provenance.workflow import (
    PROFILES,
    WORKFLOW_FILE,
    WORKFLOW_RO_CRATE,
    WORKFLOW_TYPES,
    WorkflowStep,
    add_engines,
    add_profile,
    add_run,
    add_step,
    add_steps,
    add_workflow,
)
from chunkwise.storage.outputs import check_output_file, write_atomically

__all__ = [
    "KINDS",
    "METADATA_FILE",
    "PREVIEW_FILE",
    "README_FILE",
    "CrateDetails",
    "add_attachments",
    "add_file",
    "build_crate",
    "checked_attachments",
    "crate_files",
    "describe_root",
    "in_order",
    "metadata_file",
    "readme",
    "write_crate",
]

PREVIEW_FILE: Final = "ro-crate-preview.html"
README_FILE: Final = "README.md"
CONTEXTS: Final = ("https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context")
#: What a crate may be made as; see :func:`crate_files`.
KINDS: Final = ("auto", "process", "provenance")

_OURS: Final = (METADATA_FILE, PREVIEW_FILE, README_FILE, WORKFLOW_FILE)
_ATTACHMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}")
_ATTACHMENT_TYPES = {
    ".tsv": "text/tab-separated-values",
    ".gz": "application/gzip",
    ".json": "application/json",
    ".md": "text/markdown",
}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can say; any fixed one would do


def build_crate(
    records: Sequence[RunRecord],
    output: Path | str,
    *,
    details: CrateDetails | None = None,
    attachments: Mapping[str, bytes] | None = None,
    kind: str = "auto",
) -> None:
    """Write the crate of one or several runs as a zip file.

    Parameters
    ----------
    records : sequence of RunRecord
        In any order; a record that is there twice counts once.
    output : path
        The zip file; it may exist only if it is empty.
    details : CrateDetails, optional
    attachments : mapping of str to bytes, optional
        Small files to lie in the crate, such as ``blocks-1.tsv.gz``. One that a record names as
        ``blocks["table"]`` or ``blocks["manifest"]`` is linked to that run.
    kind : str
        ``process``: runs side by side. ``provenance``: the steps of a workflow. ``auto``: the latter where a run
        read what another one wrote.

    Raises
    ------
    InputError
        If there is no record, two differ under one id, a detail cannot be used, or the output exists.
    """
    check_output_file(output)
    write_crate(crate_files(records, details=details, attachments=attachments, kind=kind), output)


def write_crate(files: Mapping[str, bytes], output: Path | str) -> None:
    """Write the files of a crate as a zip; the same files give the same bytes."""
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
    kind: str = "auto",
) -> dict[str, bytes]:
    """Return the files of the crate by their name; parameters and errors as :func:`build_crate`."""
    details = details or CrateDetails()
    records = in_order(records)
    joined = joined_by_place(records)
    workflow = kind == "provenance" or (kind == "auto" and _is_chain(joined))
    files = checked_attachments(attachments or {})
    graph = Graph()
    graph.add(METADATA_FILE, "CreativeWork", about={"@id": "./"}, conformsTo={"@id": "https://w3id.org/ro/crate/1.1"})
    graph.add("./", "Dataset")
    graph.add(PREVIEW_FILE, "CreativeWork", name="Page to read", about={"@id": "./"}, encodingFormat="text/html")
    if workflow:
        graph.add(WORKFLOW_FILE, WORKFLOW_TYPES)  # among the first, where readers look for it

    tables = add_attachments(graph, records, files)
    actions: list[str] = []
    steps: list[WorkflowStep] = []
    for number, (record, known) in enumerate(zip(records, joined, strict=True), start=1):
        step = f"{record.command}-{number}"
        name = f"records/{step}.json"
        files[name] = record.to_json().encode()
        if workflow:
            steps.append(add_step(graph, known, step, name, tables.get(record.id, ())))
            actions += steps[-1].actions
        else:
            action = add_action(graph, known, step, name, tables.get(record.id, ()))
            actions += [*add_attempts(graph, known, step, name), action]
        add_file(graph, name, files[name], f"Run record of step {number}", about={"@id": f"#{step}"})

    if workflow:
        files[WORKFLOW_FILE] = add_workflow(graph, joined, steps)
        add_file(graph, WORKFLOW_FILE, files[WORKFLOW_FILE], "The runs of this crate as the steps of a workflow")
        controls = add_steps(graph, WORKFLOW_FILE, steps)
        actions += add_run(graph, WORKFLOW_FILE, steps, controls, *add_engines(graph, joined))
        graph.link("./", "mainEntity", [WORKFLOW_FILE])
        graph.link(METADATA_FILE, "conformsTo", [WORKFLOW_RO_CRATE])
    profiles = PROFILES if workflow else PROFILES[:1]
    describe_root(graph, records, actions, details, [add_profile(graph, profile) for profile in profiles])
    if workflow:
        # The profile of workflows wants one.
        files[README_FILE] = readme(graph, steps).encode()
        add_file(graph, README_FILE, files[README_FILE], "What this crate is", about={"@id": "./"})
        graph.link("./", "hasPart", [README_FILE])
    files[METADATA_FILE] = metadata_file(graph)
    files[PREVIEW_FILE] = preview_page(graph["./"], records).encode()
    return files


def add_attachments(
    graph: Graph, records: Sequence[RunRecord], attachments: Mapping[str, bytes]
) -> dict[str, list[str]]:
    """Add small files about the runs, and return by the id of the record which are of its run."""
    found: dict[str, list[str]] = {}
    for name, content in attachments.items():
        add_file(graph, name, content, "Further file of the runs")
        for record in records:
            if _is_of(record, name, content):
                found.setdefault(record.id, []).append(name)
    return found


def _add_biology(graph: Graph, stated: Biology, images: Mapping[str, Biology]) -> None:
    """Add what the images show: what was stated for this crate, else what the images' own crates say."""
    groups: dict[Biology, list[str]] = {}
    for image, known in images.items():
        if image in graph:
            groups.setdefault(stated.or_else(known), []).append(image)
    for number, (biology, members) in enumerate((groups or {stated: []}).items(), 1):
        if biology:
            add_biology(graph, biology, members, number)


def readme(graph: Graph, steps: Sequence[WorkflowStep]) -> str:
    """Return the text of the crate's README: what it is, and its steps."""
    root = graph["./"]
    lines = [f"# {_plain(root['name'])}", "", _plain(root["description"]), "", "| step | what it did |", "|---|---|"]
    done = [(step.name, graph[step.actions[-1]]["description"]) for step in steps]
    lines += [f"| {name} | {_plain(words)} |" for name, words in done]
    return "\n".join([*lines, "", f"Open `{PREVIEW_FILE}` in a browser to read more.", ""])


def _plain(text: str) -> str:
    """Write what somebody said so that it stays text: no markup, no cell of a table, no further line."""
    return " ".join(html.escape(text, quote=False).replace("|", "&#124;").split())


def metadata_file(graph: Graph) -> bytes:
    """Return the text of the metadata file."""
    context: list[Json] = list(CONTEXTS)
    words = {*(kind for entity in graph.entities() for kind in kinds_of(entity)), *chain(*graph.entities())}
    own = {term: meaning for term, meaning in TERMS.items() if term in words}
    document = {"@context": [*context, own] if own else context, "@graph": graph.entities()}
    return (json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _is_chain(records: Sequence[RunRecord]) -> bool:
    """Say whether a run read what an earlier one wrote."""
    made: set[str] = set()
    for record in records:
        if any(resource.identity in made for resource in record.inputs):
            return True
        made |= {resource.identity for resource in record.outputs}
    return False


def describe_root(
    graph: Graph,
    records: Sequence[RunRecord],
    actions: Sequence[str],
    details: CrateDetails,
    profiles: Sequence[str],
) -> None:
    """Describe the crate as a whole, once everything else is in the graph.

    Parameters
    ----------
    graph : Graph
    records : sequence of RunRecord
        As :func:`in_order` returns them.
    actions : sequence of str
        Identifiers of all that is to be mentioned.
    details : CrateDetails
    profiles : sequence of str
        Identifiers of what the crate conforms to, in the graph.

    Raises
    ------
    InputError
        If a detail cannot be used.
    """
    root = graph["./"]
    commands = " → ".join(record.command for record in records)
    runs = "one run" if len(records) == 1 else f"{len(records)} runs"
    root["name"] = details.name or f"Run of chunkwise: {commands}"
    root["description"] = details.description or (
        f"What {runs} of chunkwise read, did and wrote ({commands}). The data are not in this crate; it says where "
        "they were and how to recognise them."
    )
    # The day of the last run, not of building, so that the same records give the same crate.
    last = max(datetime.fromisoformat(record.end) for record in records)
    root["datePublished"] = last.astimezone(UTC).date().isoformat()
    root["license"] = reference([licence(graph, details.license)])
    add_people(graph, details)
    _add_biology(graph, details.biology or Biology(), images_of(records))
    root["conformsTo"] = reference(profiles)
    data = [entity["@id"] for entity in graph.entities() if {"File", "Dataset"} & set(kinds_of(entity))]
    root["hasPart"] = reference([identifier for identifier in data if identifier != "./"])
    root["mentions"] = reference(actions)


def add_file(graph: Graph, name: str, content: bytes, description: str, **properties: Any) -> None:
    """Add a file that lies in the crate, or what it holds to the entity that it has already."""
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


def _is_of(record: RunRecord, name: str, content: bytes) -> bool:
    """Whether a file is the table or the manifest of a run: by its sum, and by its name only where there is no sum.

    In a crate made of several, files of one name may be those of two runs.
    """
    blocks = record.blocks or {}
    digest = hashlib.sha256(content).hexdigest()
    return any(
        blocks[total] == digest if total in blocks else blocks.get(kind) == name
        for kind, total in (("table", "sha256"), ("manifest", "manifest_sha256"))
    )


def checked_attachments(attachments: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return attachments in the order of their names; one whose name is not a plain one is refused."""
    for name in attachments:
        if not _ATTACHMENT.fullmatch(name) or name in _OURS:
            raise InputError(f"'{name}' cannot be the name of a file in a crate.")
    return dict(sorted(attachments.items()))
