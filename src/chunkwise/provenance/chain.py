"""Run records that hang together: their order, and what one read of what another wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from chunkwise.errors import InputError
from chunkwise.provenance.record import Resource, RunRecord

__all__ = ["channel_number", "in_order", "joined_by_place"]


def in_order(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Return every record once, the oldest first.

    Raises
    ------
    InputError
        If there is none, or two records differ under one id.
    """
    by_id: dict[str, RunRecord] = {}
    for record in records:
        if by_id.setdefault(record.id, record) != record:
            raise InputError(f"Two run records have the id {record.id} but differ, so one of them was changed.")
    if not by_id:
        raise InputError("There is no run record to build a crate from; give a reference or a record that has one.")
    return sorted(by_id.values(), key=lambda record: (datetime.fromisoformat(record.start), record.id))


def joined_by_place(records: Sequence[RunRecord]) -> list[RunRecord]:
    """Take what a run read for what an earlier run had written there, where the bytes do not say otherwise.

    A store that was named by its path is recognised by its metadata only, while the run that wrote it
    knows every byte; so their identities differ although the data are the same.
    """
    written: dict[tuple[str | None, str], tuple[datetime, Resource]] = {}
    joined = []
    for record in records:
        start = datetime.fromisoformat(record.start)
        inputs = []
        for item in record.inputs:
            end, output = written.get((item.root, item.location), (start, None))
            weak = item.fingerprint is None or item.fingerprint.get("level") != "full"
            known = output is not None and weak and end <= start and output.kind == item.kind
            inputs.append(replace(output, name=item.name) if output is not None and known else item)
        joined.append(replace(record, inputs=tuple(inputs)))
        for item in record.outputs:
            written[item.root, item.location] = (datetime.fromisoformat(record.end), item)
    return joined


def channel_number(record: RunRecord, name: str) -> int | None:
    """Return the number of a channel that a run names, from what the record says of its inputs; None if unknown.

    A run that measures names channels as ends of its table's columns: without line breaks, and none twice.
    """
    for resource in record.inputs:
        channels = resource.description.get("channels")
        for entry in channels if isinstance(channels, list) else []:
            if not isinstance(entry, dict) or not isinstance(entry.get("index"), int):
                continue
            plain = " ".join(str(entry.get("name", "")).split())
            if name in (entry.get("name"), plain, f"{plain}-{entry['index']}"):
                return int(entry["index"])
    return None
