"""Runs and their ends: every run gets a record, however it ends.

What is known when a run begins is written into its directory (``begun.json``): a record that says, until it is known
better, that the process ended without a word. A run that fails, or is stopped by a signal, writes its record itself.
Of one that was killed, the next command that finds it does: the same command, which goes on with the run and tells
of this attempt in its own record, or ``chunkwise crate build --from RUN_DIRECTORY``. What was done is in the journal,
and nowhere else; it is read, and held to the objects that are there, only when a crate is asked for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from chunkwise.blocks.job import Workers
from chunkwise.blocks.journal import last_time
from chunkwise.blocks.plan import Plan
from chunkwise.blocks.run import BEGUN, PLAN, RECORD, Run
from chunkwise.cluster.accounting import account_left, driver_of
from chunkwise.errors import ChunkwiseError, InputError, ResumableError
from chunkwise.files import open_file, read_file
from chunkwise.provenance.fields import Json
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.site import Site
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.manifest import ATTACHED, FILE_NAME
from chunkwise.storage.writer import json_bytes, put_object

__all__ = ["Attempts", "close_run", "completed_run", "find_run", "recording"]

_WITHOUT_A_WORD: Final = (
    "The process ended without an error message, as it does when it is killed, runs out of memory or its machine "
    "fails; the same command resumes it."
)

#: Attempts that a record tells of one by one, the last ones; all of them are counted.
NAMED: Final = 100


@dataclass(frozen=True)
class Attempts:
    """The attempts of a run before the present one."""

    last: tuple[dict[str, Json], ...] = ()
    """Id, start, end, status and error of the last ones."""
    count: int = 0
    """How often the run was resumed."""

    def sums(self) -> dict[str, Json]:
        """What the record's ``blocks`` say of it; nothing where the run was never resumed."""
        return {"resumed": self.count} if self.count else {}


@contextmanager
def recording(
    run: Run,
    recorder: Recorder,
    plan: Mapping[str, Json],
    workers: Workers,
    *,
    table: str,
    output: str = "",
) -> Iterator[Attempts]:
    """Note that a run begins; should it not come to its end, close it into a record that says so and why.

    Parameters
    ----------
    run : Run
        Whose lock is held.
    recorder : Recorder
        That knows the inputs already.
    plan : mapping
        What the record says of the plan.
    workers : Workers
        Takes in what the workers use.
    table : str
        What the table of blocks is called in a crate.
    output : str
        Final address of the store, where the run makes one.

    Yields
    ------
    Attempts
        The earlier ones, for the record of the run.

    Raises
    ------
    ResumableError
        If somebody removed the run directory in the meantime.
    """
    earlier = _earlier(run)
    opening = recorder.finish(
        "failed", error=_WITHOUT_A_WORD, plan=plan, cluster=driver_of(os.environ), attempts=earlier.last
    )
    content = {
        "chunkwise_begun": 1,
        "store": _from_folder(run.folder, run.store.address),
        "output": _from_folder(run.folder, output) if output else "",
        "table": table,
        "resumed": earlier.count,
        "record": opening.to_dict(),
    }
    put_object(run.folder, BEGUN, json_bytes(content))
    with suppress(FileNotFoundError):
        os.unlink(run.path(RECORD))  # of the attempt before, which the new one tells of
    try:
        yield earlier
    except BaseException as error:
        if not isinstance(error, KeyboardInterrupt):
            _check_there(run)
        # Where even this fails, as on a full disk, the next command finds a run without an end and closes it.
        with suppress(Exception):
            record = recorder.finish(
                "failed",
                error=_sentence(error),
                plan=plan,
                workers=workers.rows(),
                cluster=workers.cluster or opening.cluster,
                attempts=earlier.last,
            )
            put_object(run.folder, RECORD, json_bytes(record.to_dict()))
        raise


def _check_there(run: Run) -> None:
    """Say of a run whose directory was removed that it failed for that, and leave nothing in the way of a new one."""
    try:
        run.check_there()
    except ResumableError:
        run.abandon()
        raise


def find_run(path: str | os.PathLike[str]) -> str | None:
    """Give the run directory that a path stands for: itself, or the one beside the output; None where there is none."""
    path = os.path.abspath(path)
    return next((folder for folder in (path, f"{path}.run") if os.path.isfile(os.path.join(folder, PLAN))), None)


def completed_run(folder: str, plan: str) -> tuple[RunRecord, dict[str, bytes]] | None:
    """Give the record of a run that is complete, and the files that belong to it.

    Parameters
    ----------
    folder : str
        The run directory.
    plan : str
        The hash of its plan; None is given of a run of another one, of one that is not complete, or of what is damaged.
    """
    try:
        record = _read_record(folder)
        if record is None or record.status != "completed" or _plan(folder).hash != plan:
            return None
    except InputError:
        return None
    return record, _files_of(folder, record)


def close_run(folder: str, site: Site | None = None) -> tuple[RunRecord, dict[str, bytes]]:
    """Give the record of a run that has ended, however it did, and the files that belong to it.

    Of a run that failed, the journal is held to the objects that are there, and the record is written into the run
    directory, with the sums.

    Parameters
    ----------
    folder : str
        The run directory.
    site : Site, optional
        The administrator's file.

    Returns
    -------
    record : RunRecord
    attachments : dict of str to bytes
        Table of blocks and manifest, under the names that the record gives them.

    Raises
    ------
    InputError
        If the run is still at work, or its directory says too little or is damaged.
    PolicyError
        If the site does not allow the places.
    """
    folder = os.path.realpath(folder)  # typed, as a file of records is; what it says of other places is not
    record = _read_record(folder)
    begun = _read_begun(folder)
    if record is not None and (record.status == "completed" or begun is None):
        return record, _files_of(folder, record)
    if begun is None:
        raise InputError(f"The run in {folder} ended before it began its work, so there is nothing to record.")
    opening = _opening(begun, folder)
    folder = resolve(folder, site, write=True).address
    growing = _place(begun, "store", folder, site, write=True)  # the lock lies beside it
    if growing is None:
        raise InputError(f"{os.path.join(folder, BEGUN)} does not say where the store of the run grew.")
    run = Run(folder, growing, _plan(folder).hash)
    try:
        with run.locked():
            # Read again: the run may have come to its end while nobody held the lock.
            record = _read_record(folder)
            if record is None or record.id != opening.id:
                record = _killed(opening, run)
            if record.status == "failed":
                return _with_blocks(record, begun, run, _table(begun, run, site))
    except PermissionError as error:
        raise InputError(f"{error.filename} cannot be written, so the run cannot be closed; ask its owner.") from None
    return record, _files_of(folder, record)


def _with_blocks(
    record: RunRecord, begun: Mapping[str, Any], run: Run, made: tuple[bytes, dict[str, int]]
) -> tuple[RunRecord, dict[str, bytes]]:
    """Say what was done before a run failed, as far as it is there."""
    table, sums = made
    name = str(begun["table"])
    resumed = begun.get("resumed", 0)
    blocks: dict[str, Json] = sums | ({"resumed": resumed} if resumed else {})
    cluster, ended = account_left(run.folder, record.cluster)
    error = record.error
    if ended and error == _WITHOUT_A_WORD:
        error = f"{ended} The same command resumes the run."
    record = replace(
        record,
        error=error,
        blocks=blocks | {"table": name, "sha256": hashlib.sha256(table).hexdigest()},
        cluster=cluster,
    )
    put_object(run.folder, RECORD, json_bytes(record.to_dict()))
    return record, {name: table}


def _files_of(folder: str, record: RunRecord) -> dict[str, bytes]:
    """Make the files of a record that has its end; only those that have the bytes that the record names."""
    blocks = record.blocks or {}
    found: dict[str, bytes] = {}
    with suppress(OSError, InputError):
        hash_of_plan = _plan(folder).hash
        table, _ = Run(folder, Location(folder), hash_of_plan).table()
        found[str(blocks.get("table"))] = table
        with open_file(os.path.join(folder, FILE_NAME)) as file:
            manifest = file.read(ATTACHED + 1)
        if len(manifest) <= ATTACHED:
            found[str(blocks.get("manifest"))] = manifest
    recorded = {blocks.get("table"): blocks.get("sha256"), blocks.get("manifest"): blocks.get("manifest_sha256")}
    return {name: text for name, text in found.items() if hashlib.sha256(text).hexdigest() == recorded.get(name)}


def _earlier(run: Run) -> Attempts:
    """Tell of the attempts that a run goes on from."""
    try:
        begun = _read_begun(run.folder)
        if begun is None:
            return Attempts()
        opening = _opening(begun, run.folder)
        record = _read_record(run.folder)
    except InputError:
        return Attempts()  # what is damaged must not keep the run from going on
    if record is None or record.id != opening.id:
        record = _killed(opening, run)
    attempt: dict[str, Json] = {"id": record.id, "start": record.start, "end": record.end, "status": record.status}
    if record.error:
        attempt["error"] = record.error
    return Attempts((*record.attempts, attempt)[-NAMED:], begun.get("resumed", 0) + 1)


def _killed(opening: RunRecord, run: Run) -> RunRecord:
    """The record of an attempt that did not come to writing one; its end is that of the last block it did."""
    last = last_time(run.journal, run.hash)
    written = None if last is None else datetime.fromtimestamp(last, UTC)
    if written is None or written < datetime.fromisoformat(opening.start):
        return replace(opening, end=opening.start)
    return replace(opening, end=written.isoformat(timespec="milliseconds"))


def _sentence(error: BaseException) -> str:
    if isinstance(error, ChunkwiseError):
        return " ".join(str(error).split())
    if isinstance(error, KeyboardInterrupt):
        return f"The run was interrupted ({str(error) or 'SIGINT'}); the same command resumes it."
    return " ".join(f"{type(error).__name__}: {error}".split())


def _from_folder(folder: str, address: str) -> str:
    """Write a path as it is reached from the run directory, so that both can be moved together; a URL as it is."""
    return address if "://" in address else os.path.relpath(os.path.realpath(address), os.path.realpath(folder))


def _place(
    begun: Mapping[str, Any], key: str, folder: str, site: Site | None, *, write: bool = False
) -> Location | None:
    """Where a begun run says that its store is, under the policy: what lies beside its folder was typed."""
    text = begun.get(key)
    if not isinstance(text, str) or not text:
        return None
    if "://" in text:
        return resolve(text, site, write=write, typed=False)
    path = os.path.normpath(os.path.join(folder, text))
    if os.path.dirname(path) == folder:
        return Location(path)  # of a run that makes no store, part of its directory
    return resolve(path, site, write=write, typed=os.path.dirname(path) == os.path.dirname(folder))


def _table(begun: Mapping[str, Any], run: Run, site: Site | None) -> tuple[bytes, dict[str, int]]:
    """The table of blocks as the disk has them: where the store grew, or under its final name."""
    if not run.store.is_url and not os.path.isdir(run.store.address):
        output = _place(begun, "output", run.folder, site)
        if output is not None and os.path.isfile(output.address):
            return run.table(sure=True, named=True)  # a zip file, which is there when all of it is
        if output is not None and os.path.isdir(output.address):
            return replace(run, store=output).table(sure=False, named=True)
    return run.table(sure=False)


def _read(folder: str, name: str) -> Any:
    path = os.path.join(folder, name)
    try:
        return parse_json(read_file(path), finite=True)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        raise InputError(f"{path} is damaged: it is not JSON.") from None


def _read_record(folder: str) -> RunRecord | None:
    content = _read(folder, RECORD)
    return None if content is None else RunRecord.from_dict(content)


def _read_begun(folder: str) -> dict[str, Any] | None:
    content: dict[str, Any] | None = _read(folder, BEGUN)
    if content is None:
        return None
    known = isinstance(content, dict) and content.get("chunkwise_begun") == 1
    if not known or not isinstance(content.get("table"), str) or type(content.get("resumed", 0)) is not int:
        raise InputError(f"{os.path.join(folder, BEGUN)} is not what a run of this chunkwise writes when it begins.")
    return content


def _opening(begun: Mapping[str, Any], folder: str) -> RunRecord:
    try:
        return RunRecord.from_dict(begun.get("record"))
    except InputError as error:
        raise InputError(f"{os.path.join(folder, BEGUN)} is damaged: {error}") from None


def _plan(folder: str) -> Plan:
    content = _read(folder, PLAN)
    try:
        return Plan(content["operation"], content["inputs"], content["parameters"], content["layout"])
    except (TypeError, KeyError):
        raise InputError(f"{os.path.join(folder, PLAN)} is not the plan of a run.") from None
