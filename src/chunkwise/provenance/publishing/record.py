"""Run records as they may be given to anybody: no path, host, account or person, and nothing of the environment.

What leaves is listed here, field by field and parameter by parameter, with a rule for its value (``allowed.py``). What
is not listed stays out, so that a field that somebody adds to the record is not published until somebody lists it.
Data keep their identity and their digests; places become names such as ``labels-1.ome.zarr``, workers ``worker-1``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from chunkwise.provenance.chain import channel_number, in_order, joined_by_place
from chunkwise.provenance.fields import Json
from chunkwise.provenance.publishing.allowed import (
    CHANNEL_NAMES,
    OUT,
    Rule,
    each,
    first_of,
    matching,
    nothing,
    number,
    sizes,
    table,
    through,
    versions,
    word,
)
from chunkwise.provenance.publishing.blocks import FAILED, Neutral, publish_blocks, publish_manifest
from chunkwise.provenance.publishing.rules import (
    BLOCKS,
    BUILD,
    CHECKED,
    DESCRIPTION,
    ENDINGS,
    FINGERPRINT,
    JOB,
    NAMES,
    PARAMETERS,
    RESULTS,
    TOOL,
    TOTAL,
)
from chunkwise.provenance.record import Resource, RunRecord
from chunkwise.provenance.resource import URN
from chunkwise.provenance.software import HOME_PAGES

__all__ = ["publish"]

#: What small files of a run are called in a crate, with the run's number.
_FILES = {"table": "blocks", "manifest": "manifest"}


def publish(
    records: Sequence[RunRecord], attachments: Mapping[str, bytes] | None = None
) -> tuple[list[RunRecord], dict[str, bytes]]:
    """Take out of a chain of runs all that is not for everybody.

    Parameters
    ----------
    records : sequence of RunRecord
        In any order.
    attachments : mapping of str to bytes, optional
        Small files of the crate. Tables of blocks and manifests are written anew; others are left out.

    Returns
    -------
    list of RunRecord, dict of str to bytes
        The oldest first. The digest of a table is that of the new one.

    Raises
    ------
    InputError
        If there is no record, two differ under one id, or a table or a manifest is damaged.
    """
    neutral = Neutral()
    published, files = [], {}
    for number_of_run, record in enumerate(joined_by_place(in_order(records)), start=1):
        blocks = through(record.blocks or {}, dict.fromkeys(BLOCKS, number))
        for kind, total, rewrite in (
            ("table", "sha256", lambda content: publish_blocks(content, neutral)),
            ("manifest", "manifest_sha256", publish_manifest),
        ):
            content = _attached(record.blocks or {}, kind, total, attachments or {})
            made = None if content is None else rewrite(content)
            if made is not None:
                name = f"{_FILES[kind]}-{number_of_run}.tsv.gz"
                files[name] = made
                blocks |= {kind: name, total: hashlib.sha256(made).hexdigest()}
        published.append(replace(_record(record, neutral), blocks=blocks or None))
    return [RunRecord.from_dict(record.to_dict()) for record in published], files


def _attached(blocks: Mapping[str, Json], kind: str, total: str, attachments: Mapping[str, bytes]) -> bytes | None:
    """Return the table or the manifest of a run: in a crate made of several, two may have one name."""
    for name, content in attachments.items():
        digest = hashlib.sha256(content).hexdigest()
        if blocks[total] == digest if total in blocks else blocks.get(kind) == name:
            return content
    return None


def _record(record: RunRecord, neutral: Neutral) -> RunRecord:
    known = record.command in PARAMETERS
    failed = record.status == "failed"
    # In a tool shed, a tool is called SHED/repos/OWNER/REPOSITORY/ID/VERSION.
    galaxy = {name: str(value).split("/")[-2:][0] for name, value in (record.galaxy or {}).items()}
    return RunRecord(
        id=record.id,
        command=record.command if known else "other",
        parameters=_parameters(record) if known else {},
        inputs=tuple(_resource(resource, neutral) for resource in record.inputs),
        outputs=tuple(_resource(resource, neutral) for resource in record.outputs),
        software=through(record.software, dict.fromkeys(HOME_PAGES, versions)),
        start=_time(record.start),
        end=_time(record.end),
        status="failed" if failed else "completed",
        error=FAILED if failed else None,
        plan=through(record.plan or {}, dict.fromkeys(("shape", "block", "unit", "shard", "blocks"), sizes)) or None,
        workers=tuple(_worker(worker, neutral) for worker in record.workers),
        cluster=_cluster(record.cluster, neutral) if record.cluster else None,
        results=through(record.results, RESULTS),
        galaxy=through(galaxy, TOOL) or None,
        build=through(record.build or {}, BUILD) or None,
        attempts=tuple(_attempt(attempt) for attempt in record.attempts),
    )


def _attempt(attempt: Mapping[str, Json]) -> dict[str, Json]:
    def time(value: Json) -> Any:
        try:
            return _time(value) if isinstance(value, str) else OUT
        except ValueError:
            return OUT

    def identifier(value: Json) -> Any:
        return value if isinstance(value, str) and URN.fullmatch(value) else OUT

    rules: dict[str, Rule] = {
        "id": identifier,
        "start": time,
        "end": time,
        "status": word("completed", "failed"),
        "error": lambda _: FAILED,
    }
    return through(attempt, rules)


def _parameters(record: RunRecord) -> dict[str, Json]:
    rules = PARAMETERS[record.command] | {"channel": lambda value: _channels(record, value)}
    return through(record.parameters, rules)


def _channels(record: RunRecord, value: Json) -> Json:
    """Name channels by a known stain, else by their number, which means the same to the command."""
    if isinstance(value, list):
        return each(lambda item: _channels(record, item))(value)
    if value is None or (isinstance(value, str) and value.lower() in CHANNEL_NAMES):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}", value):
        return value
    letter, equal, name = value.partition("=") if isinstance(value, str) else ("", "", "")
    if equal and letter in tuple("abcdefgh"):  # of one of several images
        role = "image" if letter == "a" else letter
        known = _channels(replace(record, inputs=tuple(one for one in record.inputs if one.name == role)), name)
        return OUT if known is OUT else f"{letter}={known}"
    found = channel_number(record, value) if isinstance(value, str) else None
    return OUT if found is None else str(found)


def _resource(resource: Resource, neutral: Neutral) -> Resource:
    ending = ENDINGS.get(resource.media_type, "")
    fingerprint = through(resource.fingerprint or {}, FINGERPRINT)
    return Resource(
        name=resource.name if resource.name in NAMES else "data",
        kind=resource.kind,
        location=neutral(resource.kind, resource.identity) + ending,
        identity=resource.identity,
        media_type=resource.media_type if ending else "application/octet-stream",
        fingerprint=fingerprint if {"level", "algorithm", "value"} <= set(fingerprint) else None,
        size=resource.size,
        modified=None if resource.modified is None else _time(resource.modified),
        description=_description(resource.description),
        checked=None if resource.checked is None else through(resource.checked, CHECKED),
    )


def _description(description: Mapping[str, Json]) -> dict[str, Json]:
    found = through(description, DESCRIPTION)
    channels = description.get("channels")
    if isinstance(channels, list) and all(isinstance(entry, dict) for entry in channels):
        found["channels"] = [_channel(position, entry) for position, entry in enumerate(channels)]
    return found


def _channel(position: int, entry: Mapping[str, Json]) -> dict[str, Json]:
    rules: dict[str, Rule] = {
        "name": word(*CHANNEL_NAMES),
        "color": first_of(nothing, matching(r"[0-9A-Fa-f]{6}")),
        "window": sizes,
    }
    return {"index": position, "name": str(position), **through(entry, rules)}


def _worker(worker: Mapping[str, Json], neutral: Neutral) -> dict[str, Json]:
    rules = dict.fromkeys(("peak_rss_bytes", "cpu_seconds", "blocks"), number)
    return {"worker": neutral("worker", worker.get("worker")), **through(worker, rules)}


def _cluster(cluster: Mapping[str, Json], neutral: Neutral) -> dict[str, Json] | None:
    def job(value: Json) -> Any:
        if not isinstance(value, dict):
            return OUT
        named = {"id": neutral("job", value["id"])} if "id" in value else {}
        if "nodes" in value:
            named["nodes"] = neutral("nodes", value["nodes"])
        return named | through(value, JOB)

    kinds = word("local", "slurm", "allocation", "array", "address")
    return through(cluster, {"kind": kinds, "jobs": each(job), "driver": job, "total": table(TOTAL)}) or None


def _time(text: str) -> str:
    """Write a time in UTC: a zone says where somebody is."""
    return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds")
