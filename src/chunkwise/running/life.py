"""The life cycle of a run: what it reads, where it goes, its lock, its journal, its record, and the reports on it.

It is the same for stores and for single files; what stores have beside it is in :mod:`chunkwise.running.stores`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from math import prod
from typing import Any

from chunkwise.blocks.job import Job, Workers
from chunkwise.blocks.plan import Plan
from chunkwise.blocks.run import Run
from chunkwise.cluster.resources import Resources
from chunkwise.cluster.start import open_executor
from chunkwise.errors import InputError, PolicyError, ResumableError
from chunkwise.operations.model import Table
from chunkwise.provenance.closing import recording
from chunkwise.provenance.record import Recorder, RunRecord
from chunkwise.reference import Reference
from chunkwise.running.done import lacking, seems_done
from chunkwise.running.inputs import ChangedError, Input, Inputs
from chunkwise.running.outputs import beside
from chunkwise.running.places import Place, set_aside
from chunkwise.running.planned import Planned
from chunkwise.running.request import REPORTS, Destination, Done, Request, Result
from chunkwise.storage.location import resolve
from chunkwise.storage.outputs import check_output_file, write_atomically
from chunkwise.storage.writer import json_bytes

__all__ = ["LifeCycle", "check_files", "earlier_records", "report_file", "write_lacking", "write_reports"]

#: Seconds that a run waits in the workspace for another one of the same input, parameters and name.
PATIENCE = 3600.0

#: Endings of names by which people ask for a format, and which would lie of a result in another one.
OTHERS = (
    *(".csv", ".xls", ".xlsx", ".ods", ".json", ".h5", ".hdf5", ".n5", ".npy", ".mat", ".nd2", ".czi", ".lif", ".mrc"),
    *(".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".svg", ".pdf", ".nii", ".gz", ".tsv", ".parquet"),
)

#: How work is spread, and whether it is checked; no parameters of what is computed.
SPREAD = frozenset({"workers", "memory", "block", "shard", "check"})


def check_files(request: Request, *, sure: bool = False) -> None:
    """Refuse output files that cannot be written, or would take each other's place, before hours of work.

    Parameters
    ----------
    request : Request
        As asked for.
    sure : bool
        Whether it is known that the run has not been done; else :class:`LifeCycle` finds it out.
    """
    to, operation = request.to, request.operation
    files = set(to.files) - {name for name, file in operation.files.items() if file.folder}
    if isinstance(operation.gives, Table):
        files.add("output")
    taken: dict[str, str] = {}
    done = seems_done(to)
    _check_name(request)
    for name, path in {"output": to.output, "run_dir": to.run_dir, **to.files}.items():
        if not path:
            continue
        if name in files and (sure or not done):
            check_output_file(path)
        other = taken.setdefault(os.path.realpath(path), name)
        if other != name:
            both = " and ".join(f"--{one.replace('_', '-')}" for one in (other, name))
            raise InputError(f"{both} both name {path}; give each its own name.")


def _check_name(request: Request) -> None:
    """Refuse a name that says another format than what would be written."""
    gives, name = request.operation.gives, (request.to.output or "").lower()
    formats = getattr(gives, "formats", None)
    if request.to.format or (isinstance(gives, Table) and not formats):
        return
    endings = list(formats.values()) if formats else [".ome.zarr", ".ozx"]
    own = (*endings, *(".tif" for ending in endings if ending == ".tiff"))
    other = next((ending for ending in OTHERS if name.endswith(ending) and not name.endswith(own)), None)
    if other is not None:
        hint = "" if isinstance(gives, Table) or ".tiff" in own else "; 'chunkwise convert' makes other files of it"
        made = " or ".join(endings)
        raise InputError(f"{request.to.output} ends in {other}, and what is written is {made}: give such a name{hint}.")


class LifeCycle:
    """One run, from its inputs to its reports.

    Parameters
    ----------
    request : Request
        What was asked for.
    inputs : sequence of Input
        What is read.
    recorded : dict
        Parameters of the run record.
    layout : dict
        Of the plan: ``shape``, ``volumes``, ``unit``, ``block``.
    planned : iterable of str, optional
        The parameters that the plan covers; all but how the work is spread.
    """

    def __init__(
        self,
        request: Request,
        inputs: Sequence[Input],
        recorded: dict[str, Any],
        layout: dict[str, Any],
        planned: Iterable[str] | None = None,
    ) -> None:
        self.request = request
        self.recorder = Recorder(request.operation.family, recorded)
        self.inputs = Inputs(self.recorder, inputs)
        names = recorded.keys() - SPREAD if planned is None else planned
        self._plan = Plan(
            request.operation.family,
            self.inputs.plan,
            {name: recorded[name] for name in recorded if name in names},
            layout,
        )
        self._sources = [source for one in inputs for source in one.sources]
        self._earlier = earlier_records(*(one.opened.records for one in inputs))
        self._table_name = f"blocks-{len(self._earlier) + 1}.tsv.gz"
        self._workers = Workers()
        write_lacking(request, self._plan.hash, self._earlier)
        self._place = self._find_place()

    @property
    def earlier(self) -> list[dict[str, Any]]:
        """Records of the runs that led to what is read, the oldest first."""
        return self._earlier

    def _find_place(self) -> Place:
        """Where the run's own files go; a run that makes a file has nothing else."""
        to = self.request.to
        folder = os.path.abspath(to.run_dir or beside(os.path.abspath(to.output or ""), ".run", self.request.site))
        return Place(None, os.path.join(folder, "scratch"), folder)

    @contextmanager
    def working(self, resources: Resources, tasks: int) -> Iterator[Job]:
        """Begin the run, or go on with it; what would fail again leaves nothing behind but its record.

        Parameters
        ----------
        resources : Resources
            Workers, and memory for each.
        tasks : int
            How many blocks or units there are, at most.

        Raises
        ------
        Planned
            Instead of the beginning, where only the plan is asked for.
        """
        if self.request.plan:
            raise Planned(self.request, self._sources, resources, tasks, self._expected())
        place = self._place
        workspace, output = place.workspace, None if place.location is None else place.location.address
        if workspace:
            workspace.make()
        self._run = run = Run.at(
            self._plan, place.run_dir, place.partial, self.request.operation.rounds_with(self.request.values)
        )
        if output is None:
            run.begin(self._plan, os.path.join(run.folder, "none"))  # the lock lies in the directory
        hopeless: InputError | PolicyError | None = None
        try:
            with run.locked(output, PATIENCE if workspace else 0), self._room():
                if output is not None:
                    run.begin(self._plan, output)
                try:
                    with (
                        self.inputs.held(run, remove=workspace is not None),
                        recording(
                            run,
                            self.recorder,
                            self._planned(),
                            self._workers,
                            table=self._table_name,
                            output=output or "",
                        ) as self._attempts,
                        open_executor(resources, tasks, run.folder, self._workers) as executor,
                    ):
                        yield Job(executor, run, self._workers, resources.memory_per_worker)
                except ChangedError:
                    raise
                except (InputError, PolicyError) as error:
                    if output is not None:
                        run.abandon()
                        raise
                    hopeless = error
                else:
                    self._place, self._run = set_aside(self._place, run)
            if hopeless is not None:
                run.abandon()  # the lock lay in the directory, so that it had to go first
                raise hopeless
        finally:
            if workspace:
                workspace.tidy()

    def _expected(self) -> dict[str, Any]:
        """What the plan foretells: here of files, whose size depends on the objects that are found."""
        layout = self._plan.layout
        grid = (-(-n // b) for n, b in zip(layout["shape"], layout["block"], strict=True))
        return {
            "shape": layout["shape"],
            "block": layout["block"],
            "blocks": layout["volumes"] * prod(grid),
            "bytes_written": None,
            "files": 1 + len(self.request.to.files),
        }

    def _room(self) -> AbstractContextManager[None]:
        """Keep the room that the result will take, where a person's is limited."""
        workspace = self._place.workspace
        return workspace.reserved() if workspace else nullcontext()

    def _planned(self) -> dict[str, Any]:
        """What the record says of the plan."""
        layout = self._plan.layout
        # Without shards a unit is a block.
        kept = ("shape", "block", "unit", "shard") if "shard" in layout else ("shape", "block")
        return {"hash": self._plan.hash} | {key: layout[key] for key in kept}

    def close(
        self,
        kind: str,
        blocks: int | None = None,
        noted: Mapping[str, Any] | None = None,
        attachments: Mapping[str, bytes] | None = None,
    ) -> Reference:
        """Close a run whose outputs are written and named to the recorder: its record, and the reports on it.

        Parameters
        ----------
        kind : str
            Of the reference: one of ``chunkwise.reference.KINDS``.
        blocks : int, optional
            How many there were, where the table does not say it.
        noted : mapping, optional
            More to be said of the blocks.
        attachments : mapping of str to bytes, optional
            More small files for the crate.
        """
        run, name = self._run, self._table_name
        table, sums = run.table()
        record = self.recorder.finish(
            plan=self._planned() | {"blocks": sums["total"] if blocks is None else blocks},
            blocks=sums
            | self._attempts.sums()
            | {"table": name, "sha256": hashlib.sha256(table).hexdigest()}
            | dict(noted or {}),
            workers=self._workers.rows(),
            cluster=self._workers.cluster,
            attempts=self._attempts.last,
        )
        run.close(record.to_dict())
        shutil.rmtree(os.path.join(run.folder, "scratch"), ignore_errors=True)
        attached = {name: table} | dict(attachments or {})
        reference = write_reports(self.request.to, record, self._earlier, kind, attached)
        if self._place.workspace:
            self._place.workspace.forget()  # reference, record and crate say all that the run's folder said
        return reference


def report_file(to: Destination, record: RunRecord, earlier: list[dict[str, Any]], kind: str) -> Reference:
    """Write the reports on a result that is one file, made at once: all of them, or the command starts over.

    Parameters and the result are those of :func:`write_reports`.

    Raises
    ------
    ResumableError
        If the disk is full or fails; neither result nor reports are left, which would be in the way of the next try.
    """
    try:
        return write_reports(to, record, earlier, kind, {})
    except (ResumableError, KeyboardInterrupt):
        for path in (to.output, *(to.files[name] for name in REPORTS if name in to.files)):
            with suppress(OSError):
                os.unlink(path or "")
        raise


def write_lacking(request: Request, plan: str, earlier: list[dict[str, Any]]) -> None:
    """Write what is lacking of the reports on a run that has been done.

    Parameters
    ----------
    request : Request
        As asked for.
    plan : str
        The hash of its plan.
    earlier : list of dict
        As :func:`earlier_records` returns them.

    Raises
    ------
    Done
        If that was all there was to do.
    InputError
        If it was another run, whose output is in the way.
    """
    left = lacking(request, plan)
    if left is not None:
        record, attachments, to = left
        kind, output = record.outputs[0].kind, to.output or ""
        reference = write_reports(to, record, earlier, kind, attachments)
        lines = (f"{output} was whole already; written now: {', '.join(to.files.values())}",)
        raise Done(Result(reference, lines, None if kind == "table" else resolve(output, request.site)))
    if seems_done(request.to):
        check_files(request, sure=True)


def earlier_records(*chains: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join the run records of several inputs, each once, the oldest first."""
    once = {record["id"]: record for chain in chains for record in chain}
    return sorted(once.values(), key=lambda record: (RunRecord.from_dict(record).start, record["id"]))


def write_reports(
    to: Destination, record: RunRecord, earlier: list[dict[str, Any]], kind: str, attachments: Mapping[str, bytes]
) -> Reference:
    """Write what was asked for of record, reference and crate; gives the reference.

    Parameters
    ----------
    to : Destination
        As asked for.
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
    if "record" in to.files:
        write_atomically(to.files["record"], json_bytes(content))
    made = record.outputs[0]
    reference = Reference(kind, made.location, made.root, made.description, made.fingerprint or {}, tuple(records))
    if "reference" in to.files:
        reference.write(to.files["reference"])
    if "crate" in to.files:
        from chunkwise.provenance.crate import build_crate

        build_crate([RunRecord.from_dict(entry) for entry in records], to.files["crate"], attachments=attachments)
    return reference
