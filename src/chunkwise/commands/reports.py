"""What commands whose result is a single file do around their operation: run directory, record, reference, crate."""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from chunkwise.blocks.passes import Workers
from chunkwise.blocks.run import Plan, Run
from chunkwise.errors import InputError, PolicyError
from chunkwise.ngff.emptiness import say_empty, share_of
from chunkwise.provenance.carried import carried_by
from chunkwise.provenance.closing import Attempts, recording
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.reference import OpenedInput, Reference, describe
from chunkwise.storage.fingerprint import fingerprint
from chunkwise.storage.outputs import write_atomically
from chunkwise.storage.share import Share
from chunkwise.storage.writer import json_bytes

__all__ = ["add_reports", "earlier_records", "finish_run", "record_inputs", "start_run", "working", "write_reports"]


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


def record_inputs(recorder: Recorder, inputs: Sequence[tuple[str, OpenedInput, str]]) -> dict[str, Any]:
    """Note what a run reads.

    Parameters
    ----------
    recorder : Recorder
        Of the run.
    inputs : sequence of (str, OpenedInput, str)
        The parameter, what was opened, and the path of the level that is read.

    Returns
    -------
    dict
        The ``inputs`` of the plan.

    Raises
    ------
    InputError
        If the reference that was given holds damaged run records: now, not when the work is done.
    """
    known = {}
    for name, opened, path in inputs:
        location = opened.image.location
        try:
            for record in opened.records:
                RunRecord.from_dict(record)
        except InputError as error:
            raise InputError(f"The reference to {location.address} holds a damaged run record: {error}") from None
        mark = fingerprint(location, "none", ("", path))
        share = share_of(opened.image, path)
        _say_share(name, opened, path, share)
        recorder.input(
            name,
            opened.image.kind,
            location,
            fingerprint=opened.reference.fingerprint if opened.reference else mark,
            description=describe(opened.image) | _told_share(share) | carried_by(location),
        )
        known[name] = {"array": location.child(path).address, "fingerprint": mark}
    return known


def _told_share(share: Share | None) -> dict[str, Any]:
    """What the record says of the chunks of the level that is read."""
    if share is None:
        return {}
    return {"chunks_there": {"found": share.found, "looked_for": share.looked_for, "total": share.total}}


def _say_share(name: str, opened: OpenedInput, path: str, share: Share | None) -> None:
    empty = say_empty(opened.image, path, share)
    if empty is not None:
        print(f"WARNING: {empty}", file=sys.stderr)
    elif share is not None and share.found < share.looked_for:
        print(f"note: {name}, level {path}: {share.sentence}; the others are the fill value.", file=sys.stderr)


def start_run(args: argparse.Namespace, plan: Plan) -> Run:
    """Begin a run that writes no store, or go on with it: its directory holds only journal and scratch files.

    Raises
    ------
    InputError
        If the directory belongs to another run.
    """
    folder = os.path.abspath(args.run_dir or f"{os.path.abspath(args.output)}.run")
    return Run.start(plan, folder, os.path.join(folder, "none"), os.path.join(folder, "scratch"))


@contextmanager
def working(run: Run, recorder: Recorder, plan: Plan, workers: Workers, earlier: int) -> Iterator[Attempts]:
    """Hold the run against a second one; what would fail again leaves nothing behind but its record.

    Parameters
    ----------
    run, recorder, plan, workers
        Of the run.
    earlier : int
        How many runs led to it.

    Yields
    ------
    Attempts
        Those of this run before the present one, for :func:`finish_run`.

    Raises
    ------
    InputError
        If another run is at work in the same directory.
    """
    hopeless: InputError | PolicyError | None = None
    with run.locked():
        try:
            with recording(run, recorder, _told_plan(plan), workers, table=_table_name(earlier)) as attempts:
                yield attempts
        except (InputError, PolicyError) as error:
            hopeless = error
    # The lock lies in the directory, so that it has to go first.
    if hopeless is not None:
        run.abandon()
        raise hopeless


def finish_run(
    args: argparse.Namespace,
    recorder: Recorder,
    plan: Plan,
    run: Run,
    workers: Workers,
    attempts: Attempts,
    earlier: list[dict[str, Any]],
    kind: str,
) -> None:
    """Close a run whose outputs are written and named to the recorder: its record, and the reports on it.

    Parameters
    ----------
    args : argparse.Namespace
        With the options of :func:`add_reports`.
    recorder, plan, run, workers
        Of the run.
    attempts : Attempts
        As :func:`working` gives them.
    earlier : list of dict
        As :func:`earlier_records` returns them.
    kind : str
        Of the reference: one of ``chunkwise.reference.KINDS``.
    """
    name = _table_name(len(earlier))
    blocks, sums = run.table()
    record = recorder.finish(
        plan=_told_plan(plan) | {"blocks": sums["total"]},
        blocks=sums | attempts.sums() | {"table": name, "sha256": hashlib.sha256(blocks).hexdigest()},
        workers=workers.rows(),
        cluster=workers.cluster,
        attempts=attempts.last,
    )
    run.close(record.to_dict())
    shutil.rmtree(os.path.join(run.folder, "scratch"), ignore_errors=True)
    write_reports(args, record, earlier, kind, {name: blocks})


def _told_plan(plan: Plan) -> dict[str, Any]:
    return {"hash": plan.hash, "shape": plan.layout["shape"], "block": plan.layout["block"]}


def _table_name(earlier: int) -> str:
    return f"blocks-{earlier + 1}.tsv.gz"


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
