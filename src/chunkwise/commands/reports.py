"""What commands whose result is a single file do at the end: record, reference, crate."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import Any

from chunkwise.provenance.record import RunRecord
from chunkwise.reference import Reference
from chunkwise.storage.outputs import write_atomically
from chunkwise.storage.writer import json_bytes

__all__ = ["add_reports", "earlier_records", "write_reports"]


def add_reports(group: Any, name: str) -> None:
    """Add the options that say what is written beside the result."""
    group.add_argument("--reference", metavar="OUT.json", help="write a reference to the result, with its run records")
    group.add_argument("--crate", metavar="CRATE.zip", help="write an RO-Crate that says what was done")
    group.add_argument("--record", metavar="RECORD.json", help="write the run record")
    group.add_argument(
        "--run-dir",
        metavar="DIR",
        help=f"where plan, journal and scratch files go; an unfinished run goes on from there (default: {name}.run)",
    )


def earlier_records(*chains: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the run records of several inputs, each once, the oldest first."""
    once = {record["id"]: record for chain in chains for record in chain}
    return sorted(once.values(), key=lambda record: (RunRecord.from_dict(record).start, record["id"]))


def write_reports(
    args: argparse.Namespace,
    record: RunRecord,
    earlier: list[dict[str, Any]],
    kind: str,
    attachments: Mapping[str, bytes],
) -> None:
    """Write what was asked for of record, reference and crate.

    Parameters
    ----------
    args : argparse.Namespace
        With the options of :func:`add_reports`.
    record : RunRecord
        Of this run; its first output is what the reference refers to.
    earlier : list of dict
        As :func:`earlier_records` returns them.
    kind : str
        Of the reference: one of ``chunkwise.reference.KINDS``.
    attachments : mapping of str to bytes
        Small files for the crate.
    """
    content = record.to_dict()
    records = [*earlier, content]
    if args.record:
        write_atomically(args.record, json_bytes(content))
    if args.reference:
        made = record.outputs[0]
        description, mark = made.description, made.fingerprint or {}
        Reference(kind, made.location, made.root, description, mark, tuple(records)).write(args.reference)
    if args.crate:
        from chunkwise.provenance.crate import build_crate

        build_crate([RunRecord.from_dict(entry) for entry in records], args.crate, attachments=attachments)
