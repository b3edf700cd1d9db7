"""The run record: what happened in one run of one command, as a JSON dictionary of constant size.

A record names what went in and what came out, every parameter (defaults included), the versions of
the software, the times, and sums over the blocks; never the blocks themselves, never an environment
variable, a token or a user's account name. References carry records from tool to tool, and
:mod:`chunkwise.provenance.crate` turns a chain of them into an RO-Crate.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar, Final

from chunkwise.errors import InputError
from chunkwise.provenance.build import build_facts
from chunkwise.provenance.fields import (
    Json,
    check_time,
    json_list,
    json_object,
    json_text,
    optional_object,
    optional_text,
    plain,
)
from chunkwise.provenance.files import describe_file, describe_foreign
from chunkwise.provenance.resource import (
    KINDS,
    STORES,
    URN,
    Resource,
    identity_of,
    make_resource,
    names_of,
    without_nothing,
)
from chunkwise.provenance.software import HOME_PAGES
from chunkwise.site.called import name_of
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.location import Location

__all__ = [
    "KINDS",
    "RECORD_VERSION",
    "STORES",
    "Recorder",
    "Resource",
    "RunRecord",
    "identity_of",
    "parse_record",
    "software_versions",
    "utc_now",
]

RECORD_VERSION: Final = 1
STATUSES: Final = ("completed", "failed")

#: Where a person, and a Galaxy wrapper, say who they are.
_AGENT: Final = {
    "name": "CHUNKWISE_AGENT_NAME",
    "orcid": "CHUNKWISE_AGENT_ORCID",
    "organization": "CHUNKWISE_AGENT_ORGANIZATION",
    "ror": "CHUNKWISE_AGENT_ROR",
}
_GALAXY: Final = {
    "id": "CHUNKWISE_GALAXY_TOOL_ID",
    "version": "CHUNKWISE_GALAXY_TOOL_VERSION",
    "server_version": "CHUNKWISE_GALAXY_SERVER_VERSION",
}

_COMMAND = re.compile(r"[a-z][a-z0-9-]{0,40}")


@dataclass(frozen=True)
class RunRecord:
    """One run of one command. Times are ISO 8601 with a time zone."""

    id: str
    """``urn:uuid:...``, unique to the run."""
    command: str
    parameters: dict[str, Json]
    inputs: tuple[Resource, ...]
    outputs: tuple[Resource, ...]
    software: dict[str, str]
    """Name to version; ``chunkwise`` and ``python`` first."""
    start: str
    end: str
    status: str
    """``completed`` or ``failed``."""
    error: str | None = None
    plan: dict[str, Json] | None = None
    """Hash, shape, block, shard, halo, grid, number of blocks."""
    blocks: dict[str, Json] | None = None
    """Sums over the blocks (total, done, resumed, retried, failed) and the table's name and sha256."""
    workers: tuple[dict[str, Json], ...] = ()
    """Of each worker: name, peak resident bytes, CPU seconds, blocks."""
    cluster: dict[str, Json] | None = None
    """Where the workers ran: kind and name of the site's profile, and what the batch system accounts for each job."""
    results: dict[str, Json] = field(default_factory=dict)
    """Such as the threshold of every time point, and the number of objects."""
    agent: dict[str, Json] | None = None
    """Name and ORCID, organization and its ROR, where the person gave them."""
    galaxy: dict[str, Json] | None = None
    """Id and version of the Galaxy tool, where one ran it; the version of that Galaxy, where its administrator says."""
    build: dict[str, Json] | None = None
    """What is known of the chunkwise that ran: commit, whether it was changed since, lock file, container."""
    attempts: tuple[dict[str, Json], ...] = ()
    """Of a run that was resumed, those before: id, start, end, status, error."""

    def to_dict(self) -> dict[str, Json]:
        """Return the JSON form; what is not known is left out."""
        content: dict[str, Json] = {"chunkwise_record": RECORD_VERSION}
        content |= {item.name: getattr(self, item.name) for item in fields(self)}
        content["inputs"] = [resource.to_dict() for resource in self.inputs]
        content["outputs"] = [resource.to_dict() for resource in self.outputs]
        content["workers"] = list(self.workers)
        content["attempts"] = list(self.attempts) or None
        return without_nothing(content)

    def to_json(self) -> str:
        """Return the JSON text, the same for the same record."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, content: object) -> RunRecord:
        """Read the JSON form.

        Raises
        ------
        InputError
            If it is not a run record, or one of a version that this chunkwise does not know.
        """
        what = "The run record"
        if not isinstance(content, Mapping) or "chunkwise_record" not in content:
            raise InputError("This is not a run record of chunkwise: the key 'chunkwise_record' is missing.")
        if content["chunkwise_record"] != RECORD_VERSION:
            raise InputError(
                f"The run record has the version {content['chunkwise_record']!r}; this chunkwise reads version "
                f"{RECORD_VERSION}, so use a newer chunkwise."
            )
        required = (
            "id",
            "command",
            "parameters",
            "inputs",
            "outputs",
            "software",
            "start",
            "end",
            "status",
        )
        entry = json_object(content, what, required=required, known={"chunkwise_record", *names_of(cls)})
        software = optional_object(entry, "software", what) or {}
        record = cls(
            id=json_text(entry, "id", what),
            command=json_text(entry, "command", what),
            parameters=optional_object(entry, "parameters", what) or {},
            inputs=tuple(Resource.from_dict(item) for item in json_list(entry, "inputs", what)),
            outputs=tuple(Resource.from_dict(item) for item in json_list(entry, "outputs", what)),
            software={name: json_text(software, name, f"{what}, software") for name in software},
            start=json_text(entry, "start", what),
            end=json_text(entry, "end", what),
            status=json_text(entry, "status", what),
            error=optional_text(entry, "error", what),
            plan=optional_object(entry, "plan", what),
            blocks=optional_object(entry, "blocks", what),
            workers=tuple(json_object(item, f"{what}, workers,") for item in json_list(entry, "workers", what)),
            cluster=optional_object(entry, "cluster", what),
            results=optional_object(entry, "results", what) or {},
            agent=optional_object(entry, "agent", what),
            galaxy=optional_object(entry, "galaxy", what),
            build=optional_object(entry, "build", what),
            attempts=tuple(json_object(item, f"{what}, attempts,") for item in json_list(entry, "attempts", what)),
        )
        if not URN.fullmatch(record.id):
            raise InputError(f"{what} has the id '{record.id}', which has to be a urn:uuid.")
        if not _COMMAND.fullmatch(record.command):
            raise InputError(f"{what} has the command '{record.command[:40]}', which is not a command of chunkwise.")
        if record.status not in STATUSES:
            raise InputError(f"{what} has the status '{record.status}', which has to be completed or failed.")
        for moment in (record.start, record.end):
            check_time(moment, what)
        return record


class Recorder:
    """Collects a run record while a command works.

    Parameters
    ----------
    command : str
        Such as ``segment``.
    parameters : mapping
        Every parameter with its typed value, defaults included; JSON values only.

    Examples
    --------
    >>> recorder = Recorder("measure", {"properties": ["area"]})
    >>> _ = recorder.input("labels", "labels", "/data/labels.ome.zarr")
    >>> recorder.result("objects", 20)
    >>> recorder.finish().status
    'completed'
    """

    _last: ClassVar[str] = ""

    def __init__(self, command: str, parameters: Mapping[str, Json]) -> None:
        self.id = f"urn:uuid:{uuid.uuid4()}"
        self.command = command
        self.parameters: dict[str, Json] = plain(dict(parameters), "parameters")
        self.start = utc_now()
        # Runs are told in the order in which they began: of a process, no two do so in the same millisecond.
        while self.start == Recorder._last:
            time.sleep(0.0005)
            self.start = utc_now()
        Recorder._last = self.start
        self._inputs: list[Resource] = []
        self._outputs: list[Resource] = []
        self._results: dict[str, Json] = {}

    def input(self, name: str, kind: str, location: Location | Path | str, **known: Any) -> Resource:
        """Name something that the run reads; ``known`` are further fields of :class:`Resource`."""
        self._inputs.append(make_resource(name, kind, location, known))
        return self._inputs[-1]

    @property
    def so_far(self) -> dict[str, Json]:
        """What the record will say of command, parameters, inputs, software and start: for a page of the run itself."""
        read: list[Json] = [one.to_dict() | {"called": name_of(one.name)} for one in self._inputs]
        known: dict[str, Json] = {"command": self.command, "parameters": self.parameters, "inputs": read}
        return known | {"software": dict(software_versions()), "start": self.start}

    def known_by_its_bytes(self, number: int, location: Location) -> None:
        """Note of an input that is a file, or several, by its number, their size and digest: what tells it again."""
        known, place = describe_foreign(location), self._inputs[number]
        identity = identity_of(place.location, place.root, known.get("fingerprint"))
        self._inputs[number] = replace(place, **known, identity=identity)

    def checked(self, number: int, **known: Json) -> None:
        """Note of an input, by its number, how it was held to stay the same."""
        self._inputs[number] = replace(self._inputs[number], checked=plain(known, "checked"))

    def output(self, name: str, kind: str, location: Location | Path | str, **known: Any) -> Resource:
        """Name something that the run wrote; ``known`` are further fields of :class:`Resource`.

        Of a file that is written already, size, time and fingerprint are found out here.
        """
        if kind not in STORES and not isinstance(location, Location):
            known = describe_file(location) | known
        self._outputs.append(make_resource(name, kind, location, known))
        return self._outputs[-1]

    def result(self, key: str, value: Json) -> None:
        """Note a finding of the run, such as a threshold; a JSON value."""
        self._results[key] = plain(value, key)

    def finish(
        self,
        status: str = "completed",
        *,
        error: str | None = None,
        plan: Mapping[str, Json] | None = None,
        blocks: Mapping[str, Json] | None = None,
        workers: Sequence[Mapping[str, Json]] = (),
        cluster: Mapping[str, Json] | None = None,
        attempts: Sequence[Mapping[str, Json]] = (),
    ) -> RunRecord:
        """Note the time and return the record; it has passed the same checks as one read from a file."""
        record = RunRecord(
            id=self.id,
            command=self.command,
            parameters=self.parameters,
            inputs=tuple(self._inputs),
            outputs=tuple(self._outputs),
            software=software_versions(),
            start=self.start,
            end=utc_now(),
            status=status,
            error=error,
            plan=None if plan is None else plain(dict(plan), "plan"),
            blocks=None if blocks is None else plain(dict(blocks), "blocks"),
            workers=tuple(plain(dict(worker), "workers") for worker in workers),
            cluster=None if cluster is None else plain(dict(cluster), "cluster"),
            results=self._results,
            agent=_from_environment(_AGENT),
            galaxy=_from_environment(_GALAXY),
            build=build_facts() or None,
            attempts=tuple(plain(dict(attempt), "attempts") for attempt in attempts),
        )
        return RunRecord.from_dict(record.to_dict())


def parse_record(text: str | bytes) -> RunRecord:
    """Read a record from JSON text.

    Raises
    ------
    InputError
        If it is not JSON, or not a run record.
    """
    try:
        content = parse_json(text, finite=True)
    except (ValueError, RecursionError):
        raise InputError("This is not JSON, so it is not a run record.") from None
    return RunRecord.from_dict(content)


def software_versions() -> dict[str, str]:
    """Return name and version of everything installed that can bear on a result."""
    return dict(_installed())


@cache
def _installed() -> dict[str, str]:
    """Ask once: each answer is parsed as an e-mail, which for all of them takes longer than a small run."""
    versions = {}
    for name in HOME_PAGES:
        try:
            versions[name] = platform.python_version() if name == "python" else metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def utc_now() -> str:
    """Return the time as ISO 8601 in UTC with milliseconds, the form that the crate's profile asks for."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _from_environment(variables: Mapping[str, str]) -> dict[str, Json] | None:
    """Take over only what was set for chunkwise on purpose."""
    found = {key: os.environ[variable] for key, variable in variables.items() if os.environ.get(variable)}
    return found or None
