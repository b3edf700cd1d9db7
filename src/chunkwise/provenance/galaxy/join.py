"""Which run record belongs to which job of Galaxy.

A record does not know its job: Galaxy tells a tool no number that its export would also give. But the job's
datasets are known by UUIDs that are in the paths which the run saw, the record itself lies in a dataset that
the job made, and the times have to agree. Whatever contradicts rules a job out; what agrees counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from chunkwise.errors import InputError
from chunkwise.provenance.chain import in_order
from chunkwise.provenance.galaxy.invocation import GalaxyJob, Invocation
from chunkwise.provenance.record import Resource, RunRecord

__all__ = ["RecordFile", "join_records", "short_tool", "uuids_in"]

#: The clocks of Galaxy and of a node of the cluster may differ by this much.
CLOCKS: Final = timedelta(minutes=2)

_UUID_IN_PATH = re.compile(r"\bdataset_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_files\b|\.dat$)")


@dataclass(frozen=True)
class RecordFile:
    """Run records that lie in one file: the record of one run, or a reference with all that led to it."""

    name: str
    records: tuple[RunRecord, ...]
    dataset: str | None = None
    """The UUID of the file as a dataset of Galaxy, where it is one."""
    exported: bool = False
    """Whether it lies in Galaxy's export."""

    @classmethod
    def given(cls, path: Path | str, records: Sequence[RunRecord]) -> RecordFile:
        """Name a file that the person gave; one in Galaxy's own storage is recognised by its name."""
        found = _UUID_IN_PATH.search(str(path))
        return cls(str(path), tuple(records), found.group(1) if found else None)


def join_records(
    invocation: Invocation, files: Sequence[RecordFile], *, outside: bool = False
) -> tuple[dict[str, RunRecord], list[RunRecord]]:
    """Find the job of every record.

    Parameters
    ----------
    invocation : Invocation
        Those in the export itself need not be among the files.
    files : sequence of RecordFile
    outside : bool
        Whether records that belong to no job are taken along as well.

    Returns
    -------
    dict of str to RunRecord
        By the job.
    list of RunRecord
        Runs outside of the invocation: what the export's own references tell of the time before it, and with
        ``outside`` all others.

    Raises
    ------
    InputError
        If a record belongs to no job, or it cannot be told to which.
    """
    own = [
        RecordFile(dataset.name, tuple(records), dataset.uuid, exported=True)
        for identifier, records in invocation.records.items()
        if (dataset := invocation.datasets.get(identifier)) is not None
    ]
    files = [*own, *files]
    waiting = in_order([record for file in files for record in file.records])
    free = {identifier: invocation.jobs[identifier] for identifier in _step_jobs(invocation)}
    made_by = _makers(invocation, free.values(), files)
    joined: dict[str, RunRecord] = {}
    while True:
        best = max(
            (pair for record in waiting if (pair := _best(invocation, record, free, made_by)) is not None),
            key=lambda pair: pair[0],
            default=None,
        )
        if best is None:
            break
        _, job, record = best
        joined[job] = record
        del free[job]
        waiting.remove(record)
    before = {record.id for file in own for record in file.records if _moment(record.end) <= _moment(invocation.start)}
    for record in waiting:
        if outside or record.id in before:
            continue
        run = f"The run of '{record.command}' that began at {record.start} (record {record.id})"
        many = sum(_evidence(invocation, record, job, made_by) is not None for job in free.values())
        if many:
            raise InputError(
                f"{run} could belong to any of {many} jobs of Galaxy; export the invocation with its files, so "
                "that its records and references are in it."
            )
        raise InputError(
            f"{run} belongs to no job of the invocation; leave it out, or list it as a run outside the workflow with "
            "--outside."
        )
    return joined, waiting


def short_tool(identifier: str) -> str:
    """Return the name of a tool within its repository: what the tool calls itself."""
    parts = identifier.split("/")
    return parts[-2] if len(parts) == 6 and parts[1] == "repos" else identifier


def uuids_in(resources: Sequence[Resource]) -> set[str]:
    """Return the UUIDs of Galaxy's datasets in the paths of what a run read or wrote."""
    return {found.group(1) for resource in resources if (found := _UUID_IN_PATH.search(resource.location))}


def _step_jobs(invocation: Invocation) -> list[str]:
    return [job for step in invocation.steps for job in step.jobs if job in invocation.jobs]


def _makers(invocation: Invocation, jobs: Iterable[GalaxyJob], files: Sequence[RecordFile]) -> dict[str, set[str]]:
    """Return, by the record, the jobs whose datasets hold it as their own.

    The last run of its tool in a dataset is the one that wrote the dataset; those before it led to its inputs.
    """
    found: dict[str, set[str]] = {}
    for job in jobs:
        uuids = _uuids(invocation, job.outputs.values())
        for file in files:
            records = [record for record in file.records if _same_tool(record, job)]
            if file.dataset in uuids and records:
                found.setdefault(max(records, key=lambda record: _moment(record.end)).id, set()).add(job.id)
    return found


def _best(
    invocation: Invocation, record: RunRecord, free: dict[str, GalaxyJob], made_by: dict[str, set[str]]
) -> tuple[int, str, RunRecord] | None:
    """Return the job that fits best, with how much speaks for it; None where none fits or two fit as well."""
    scores = [
        (score, job.id) for job in free.values() if (score := _evidence(invocation, record, job, made_by)) is not None
    ]
    highest = [pair for pair in scores if pair[0] == max(scores)[0]]
    return (*highest[0], record) if len(highest) == 1 else None


def _evidence(invocation: Invocation, record: RunRecord, job: GalaxyJob, made_by: dict[str, set[str]]) -> int | None:
    """Return how much speaks for a job, or None where something speaks against it."""
    if not _same_tool(record, job):
        return None
    if _moment(record.start) < _moment(job.created) - CLOCKS or _moment(record.end) > _moment(job.updated) + CLOCKS:
        return None
    makers = made_by.get(record.id, set())
    taken, made = _uuids(invocation, job.inputs.values()), _uuids(invocation, job.outputs.values())
    reads, writes = uuids_in(record.inputs), uuids_in(record.outputs)
    if (makers and job.id not in makers) or reads - taken or writes - made:
        return None
    hashes = {str(item.fingerprint["value"]) for item in record.outputs if item.fingerprint is not None}
    same = hashes & {
        dataset.sha256 for dataset in invocation.datasets.values() if dataset.uuid in made and dataset.sha256
    }
    return 8 * bool(makers) + 4 * bool(writes) + 2 * bool(same) + bool(reads)


def _same_tool(record: RunRecord, job: GalaxyJob) -> bool:
    tool = record.galaxy or {}
    name = str(tool.get("id", f"chunkwise_{record.command}"))
    return name == short_tool(job.tool) and tool.get("version", job.version) == job.version


def _uuids(invocation: Invocation, groups: Iterable[Sequence[str]]) -> set[str]:
    return {
        invocation.datasets[identifier].uuid
        for group in groups
        for identifier in group
        if identifier in invocation.datasets
    }


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
