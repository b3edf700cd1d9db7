"""Runs that were stopped when the result was whole and reports were lacking: the same command writes these."""

from __future__ import annotations

import os

from chunkwise.blocks.run import RECORD
from chunkwise.errors import InputError
from chunkwise.provenance.closing import completed_run
from chunkwise.provenance.collect import read_records
from chunkwise.provenance.record import RunRecord
from chunkwise.running.request import REPORTS, Destination, Request

__all__ = ["lacking", "seems_done"]


def _folder(to: Destination) -> str:
    return os.path.realpath(to.run_dir or f"{os.path.realpath(to.output or '')}.run")


def seems_done(to: Destination) -> bool:
    """Whether there are an output and, where its run keeps it, a record."""
    output = to.output or ""
    there = os.path.isdir(output) or (os.path.isfile(output) and os.path.getsize(output) > 0)
    return there and os.path.isfile(os.path.join(_folder(to), RECORD))


def lacking(request: Request, plan: str) -> tuple[RunRecord, dict[str, bytes], Destination] | None:
    """Find what is lacking of a run that is done.

    Parameters
    ----------
    request : Request
        As asked for.
    plan : str
        The hash of the plan.

    Returns
    -------
    record, attachments, destination
        Of the run that was done, and of the reports that are not there; None where it was another run, which wrote
        another output, or where nothing is lacking.
    """
    to = request.to
    if request.plan or not seems_done(to):
        return None
    found = completed_run(_folder(to), plan)
    if found is None:
        return None
    made = found[0].outputs[0]
    root = request.site.roots[made.root].path if request.site and made.root in request.site.roots else None
    same = os.path.realpath(os.path.join(root or "", made.location)) == os.path.realpath(to.output or "")
    files = {name: path for name, path in to.files.items() if name in REPORTS and not _tells(path, found[0])}
    if not same or not files:
        return None
    return *found, Destination(output=to.output, files=files)


def _tells(path: str, record: RunRecord) -> bool:
    """Whether a report tells of a run already."""
    if not os.path.exists(path):
        return False
    try:
        return any(one.id == record.id for one in read_records(path))
    except InputError:
        return False
