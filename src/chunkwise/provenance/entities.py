"""Run records as entities of an RO-Crate: one action a record, one data entity a piece of data.

The data stay where they are. An entity is named by the identity that the records give it, so that the
output of one run and the input of the next are one entity, whatever their paths were.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from urllib.parse import quote

from chunkwise.errors import InputError
from chunkwise.provenance.fields import Json, check_time
from chunkwise.provenance.graph import Graph, reference
from chunkwise.provenance.people import licence, orcid_url, organization, person
from chunkwise.provenance.programs import add_model, add_program
from chunkwise.provenance.record import STORES, Resource, RunRecord

__all__ = [
    "STATUS",
    "Graph",
    "add_action",
    "add_attempts",
    "add_program",
    "data_id",
    "licence",
    "orcid_url",
    "person",
    "reference",
    "time_text",
]


#: What the profiles call the end of an action, by the record's word.
STATUS: Final = {
    "completed": "http://schema.org/CompletedActionStatus",
    "failed": "http://schema.org/FailedActionStatus",
}

#: Earlier attempts of a run that are actions of their own; thousands of jobs may each have been one.
_ATTEMPTS: Final = 5


def add_action(
    graph: Graph,
    record: RunRecord,
    step: str,
    record_file: str,
    tables: Sequence[str] = (),
    *,
    tool: str | None = None,
) -> str:
    """Add one run: the action, its program, its data, its parameters and its findings.

    Parameters
    ----------
    graph : Graph
        Takes the entities.
    record : RunRecord
    step : str
        Name of the run within the crate, such as ``segment-1``.
    record_file : str
        Where in the crate the whole record lies.
    tables : sequence of str
        Further files of the crate about this run, such as the table of its blocks.
    tool : str, optional
        Identifier of the program; by default chunkwise with its packages, which is added.

    Returns
    -------
    str
        Identifier of the action.
    """
    instrument = tool or add_program(graph, record)
    inputs = [_data(graph, resource) for resource in record.inputs]
    outputs = [_data(graph, resource, record.end) for resource in record.outputs]
    parameters = [
        graph.value(f"#{step}-parameter-{quote(name, safe='')}", name, value)
        for name, value in record.parameters.items()
    ]
    findings = [
        graph.value(f"#{step}-result-{quote(name, safe='')}", name, value) for name, value in record.results.items()
    ]
    usage = _resource_usage(graph, record, step)
    return graph.add(
        f"#{step}",
        "CreateAction",
        name=f"chunkwise {record.command}",
        description=_sentence(record),
        identifier=record.id,
        instrument=reference([instrument]),
        object=reference([*inputs, *add_model(graph, record), *parameters]),
        result=reference([*outputs, *findings, *tables] or [record_file]),
        startTime=time_text(record.start),
        endTime=time_text(record.end),
        actionStatus=STATUS[record.status],
        error=(record.error or "The run did not say why it failed.") if record.status == "failed" else None,
        agent=reference([_agent(graph, record.agent or {})]),
        subjectOf=reference([record_file]),
        resourceUsage=reference(usage) if usage else None,
    )


def add_attempts(graph: Graph, record: RunRecord, step: str, record_file: str) -> list[str]:
    """Add the attempts that a run went on from, each as an action that failed; the last few, the record has more.

    Parameters are those of :func:`add_action`, which has to be called before.
    """
    action = graph[f"#{step}"]
    found = []
    for number, attempt in list(enumerate(record.attempts, 1))[-_ATTEMPTS:]:
        start, end = (str(attempt.get(key)) for key in ("start", "end"))
        try:
            check_time(start, "An attempt")
            check_time(end, "An attempt")
        except InputError:
            continue
        found.append(
            graph.add(
                f"#{step}-attempt-{number}",
                "CreateAction",
                name=f"chunkwise {record.command}, attempt {number}",
                description=f"An attempt at {step} that was not finished; a later one continued from there.",
                identifier=attempt.get("id"),
                instrument=action["instrument"],
                object=action["object"],
                result=reference([record_file]),
                startTime=time_text(start),
                endTime=time_text(end),
                actionStatus=STATUS["failed"],
                error=str(attempt.get("error") or "It did not say why it failed."),
                agent=action["agent"],
                subjectOf=reference([record_file]),
            )
        )
    return found


def _agent(graph: Graph, agent: dict[str, Json]) -> str:
    """Add who ran a command, as far as they said so."""
    name, orcid, employer, ror = (
        None if agent.get(key) is None else str(agent[key]) for key in ("name", "orcid", "organization", "ror")
    )
    if ror is not None and not ror.startswith("https://"):
        ror = f"https://ror.org/{ror}"
    where = organization(graph, employer, ror) if employer else None
    return where if where and not name and not orcid else person(graph, name, orcid, where)


def data_id(resource: Resource) -> str:
    """Return the identifier within a crate of what was read or written: its identity, whatever its place."""
    return f"#{resource.identity.removeprefix('urn:uuid:')}"


def _data(graph: Graph, resource: Resource, written: str | None = None) -> str:
    """Add what was read or written: a Dataset where it is a store, a File otherwise.

    A store has no time of its own; one that a run wrote was last changed when that run ended.
    """
    # An image may also be a file, such as a TIFF.
    store = resource.kind in STORES and not resource.media_type.startswith("image/")
    identifier = data_id(resource)
    place = resource.location if resource.root is None else f"{resource.root}:{resource.location}"
    facts: dict[str, Json] = {"location": place}
    whole_file_hash = None
    identifiers = []
    if resource.fingerprint is not None:
        level, algorithm, value = (str(resource.fingerprint[key]) for key in ("level", "algorithm", "value"))
        label = f"fingerprint ({algorithm}, level {level})"
        if not store and level == "full" and algorithm == "sha256":
            whole_file_hash = value
        elif level == "full":
            # It covers every byte, so that it names the data wherever they lie; weaker ones do not.
            property_id = f"{identifier}-{quote(label, safe='')}"
            identifiers.append(graph.value(property_id, label, value, propertyID=algorithm))
        else:
            facts[label] = value
    # What a store's own crate says of it is told in the words of that crate, not here.
    facts |= {name: value for name, value in resource.description.items() if name != "about"}
    properties = [
        graph.value(f"{identifier}-{quote(name, safe='')}", name, value)
        for name, value in facts.items()
        if value not in (None, "", [], {})
    ]
    if resource.checks is not None:
        # Several runs may have read it, each with checks of its own.
        property_id = f"{identifier}-checked-{quote(resource.checks, safe='')}"
        checks = [graph.value(property_id, "checked while it was read", resource.checks)]
        if identifier in graph:
            graph.link(identifier, "additionalProperty", checks)
        properties += checks
    return graph.add(
        identifier,
        "Dataset" if store else "File",
        name=resource.short_name,
        description=f"{resource.kind.capitalize()} at {place}; not part of this crate.",
        identifier=[resource.identity, *({"@id": link} for link in identifiers)] if identifiers else resource.identity,
        encodingFormat=resource.media_type,
        contentUrl=_address(resource),
        contentSize=None if resource.size is None else str(resource.size),
        dateModified=resource.modified or written,
        sha256=whole_file_hash,
        additionalProperty=reference(properties),
    )


def _address(resource: Resource) -> str | None:
    if resource.root is not None:
        return None
    if "://" in resource.location:
        return resource.location
    return f"file://{quote(resource.location)}" if resource.location.startswith("/") else None


#: What the batch system accounts for all jobs of a run together: its words in the record, and the unit.
_OF_JOBS = {
    "submitted": ("batch jobs", "NUM"),
    "elapsed_seconds": ("time of all batch jobs (seconds)", "SEC"),
    "cpu_seconds": ("CPU time of all batch jobs (seconds)", "SEC"),
    "max_rss_bytes": ("largest memory of one batch job (bytes)", "BYTE"),
    "read_bytes": ("read by all batch jobs (bytes)", "BYTE"),
    "written_bytes": ("written by all batch jobs (bytes)", "BYTE"),
}


def _resource_usage(graph: Graph, record: RunRecord, step: str) -> list[str]:
    """Sum the workers up; each of them is in the record itself."""
    if not record.workers:
        return []
    peaks = [worker["peak_rss_bytes"] for worker in record.workers if _is_number(worker.get("peak_rss_bytes"))]
    seconds = [worker["cpu_seconds"] for worker in record.workers if _is_number(worker.get("cpu_seconds"))]
    sums: list[tuple[str, str, Json, str]] = [("workers", "workers", len(record.workers), "NUM")]
    if peaks:
        sums.append(("peak_rss_bytes", "largest memory of one worker (bytes)", max(peaks), "BYTE"))
    if seconds:
        sums.append(("cpu_seconds", "CPU time of all workers (seconds)", round(sum(seconds), 3), "SEC"))
    total = (record.cluster or {}).get("total")
    if isinstance(total, dict):
        sums += [
            (f"jobs_{key}", name, total[key], unit)
            for key, (name, unit) in _OF_JOBS.items()
            if _is_number(total.get(key))
        ]
    usage = [
        graph.value(f"#{step}-usage-{key}", name, value, propertyID=key, unitCode=f"https://qudt.org/vocab/unit/{unit}")
        for key, name, value, unit in sums
    ]
    return usage


def time_text(text: str) -> str:
    """Write a time with milliseconds and a numeric zone, the only form that the profile knows."""
    return datetime.fromisoformat(text).isoformat(timespec="milliseconds")


def _is_number(value: Json) -> bool:
    """Whether it is a number that can be summed up: of two that are larger, the sum may be none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e30


def _sentence(record: RunRecord) -> str:
    """Say in words what the run did."""
    read = _names(record.inputs)
    wrote = _names(record.outputs)
    parts = [f"chunkwise {record.command} read {read or 'nothing'} and wrote {wrote or 'nothing'}"]
    if record.status == "failed":
        parts.append("it failed")
    if record.blocks is not None and "total" in record.blocks:
        parts.append(f"{record.blocks.get('done', '?')} of {record.blocks['total']} blocks were done")
    if record.galaxy is not None:
        tool = " ".join(str(record.galaxy[key]) for key in ("id", "version") if key in record.galaxy)
        parts.append(f"it was run by the Galaxy tool {tool}")
    return "; ".join(parts) + "."


def _names(resources: Sequence[Resource]) -> str:
    return ", ".join(resource.short_name for resource in resources)
