"""Galaxy's export of an invocation and our run records as one crate: Provenance Run Crate 0.5 on RO-Crate 1.1.

Galaxy knows the workflow, every job and every dataset; the records know what chunkwise did to which bytes. A job
with a record is told by the record, any other job by what Galaxy says of it. Nothing is copied but the workflow's
files and the records.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from chunkwise.errors import InputError
from chunkwise.provenance.chain import in_order, joined_by_place
from chunkwise.provenance.crate import (
    METADATA_FILE,
    PREVIEW_FILE,
    README_FILE,
    CrateDetails,
    add_attachments,
    add_file,
    checked_attachments,
    describe_root,
    metadata_file,
    readme,
    write_crate,
)
from chunkwise.provenance.entities import STATUS, add_action, add_program
from chunkwise.provenance.fields import Json
from chunkwise.provenance.galaxy.data import Datasets, flat_parameters
from chunkwise.provenance.galaxy.export import read_galaxy_export
from chunkwise.provenance.galaxy.invocation import GalaxyJob, GalaxyStep, Invocation
from chunkwise.provenance.galaxy.join import RecordFile, join_records, short_tool
from chunkwise.provenance.galaxy.workflow import GALAXY_PAGE, add_galaxy_workflow
from chunkwise.provenance.graph import Graph, reference, targets
from chunkwise.provenance.preview import preview_page
from chunkwise.provenance.publishing.record import publish as published
from chunkwise.provenance.publishing.workflow import published_invocation
from chunkwise.provenance.record import RunRecord
from chunkwise.provenance.software import home_page
from chunkwise.provenance.workflow import (
    PROFILES,
    RUN,
    WORKFLOW_RO_CRATE,
    WorkflowStep,
    add_engine,
    add_profile,
    add_run,
    add_setting,
    add_settings,
    add_steps,
)
from chunkwise.storage.outputs import check_output_file

__all__ = ["Merged", "merge_crate", "merged_files"]

#: What Galaxy calls jobs and invocations that did not end well.
FAILED_STATES: Final = ("cancelled", "cancelling", "deleted", "deleting", "error", "failed", "stopped")

#: Galaxy writes numbers and truth values as texts.
_PLAIN = re.compile(r"-?[0-9]{1,20}(?:\.[0-9]{1,20})?|true|false")
#: An action, and by name what it took and made.
_Ran = tuple[str, dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]


@dataclass(frozen=True)
class Merged:
    """A merged crate, and what went into it."""

    files: dict[str, bytes]
    steps: int
    joined: int
    """Jobs that have a run record."""
    outside: int
    """Records that belong to no job of the invocation."""


def merge_crate(
    export: Path | str,
    runs: Sequence[RecordFile],
    output: Path | str,
    *,
    details: CrateDetails | None = None,
    attachments: Mapping[str, bytes] | None = None,
    outside: bool = False,
    publish: bool = False,
) -> Merged:
    """Write the crate of an invocation as a zip file.

    Parameters
    ----------
    export : path
        What Galaxy exported.
    runs : sequence of RecordFile
        Records beside those that lie in the export.
    output : path
        The zip file; it may exist only if it is empty.
    details : CrateDetails, optional
    attachments : mapping of str to bytes, optional
        As :func:`chunkwise.provenance.crate.build_crate`.
    outside : bool
        Whether records that belong to no job are listed as runs outside of the workflow.
    publish : bool
        Whether the crate is for everybody: records as :func:`chunkwise.provenance.publishing.record.publish` gives
        them, and of Galaxy no names of datasets, no settings that are free text, and of its workflow what has a rule.

    Raises
    ------
    InputError
        As :func:`chunkwise.provenance.galaxy.export.read_galaxy_export` and
        :func:`chunkwise.provenance.galaxy.join.join_records`; also if there is no record at all, or the output exists.
    """
    check_output_file(output)
    merged = merged_files(
        read_galaxy_export(export), runs, details=details, attachments=attachments, outside=outside, publish=publish
    )
    write_crate(merged.files, output)
    return merged


def merged_files(
    invocation: Invocation,
    runs: Sequence[RecordFile],
    *,
    details: CrateDetails | None = None,
    attachments: Mapping[str, bytes] | None = None,
    outside: bool = False,
    publish: bool = False,
) -> Merged:
    """Return the files of the crate of an invocation; parameters and errors as :func:`merge_crate`."""
    if not invocation.records and not runs:
        raise InputError(
            "The export contains no chunkwise run record; give the records and references of its runs with --runs, or "
            "export the invocation with its files."
        )
    joined, others = join_records(invocation, runs, outside=outside)
    merger = _Merger(invocation, joined, others, checked_attachments(attachments or {}), publish)
    return Merged(merger.build(details or CrateDetails()), len(merger.steps), len(joined), len(others))


class _Merger:
    """Builds one crate; the graph fills from the workflow over its steps to the root."""

    def __init__(
        self,
        invocation: Invocation,
        joined: Mapping[str, RunRecord],
        others: Sequence[RunRecord],
        attachments: dict[str, bytes],
        publish: bool,
    ) -> None:
        self.invocation = invocation = published_invocation(invocation) if publish else invocation
        self.publish = publish
        self.records = in_order([*joined.values(), *others])
        known = {record.id: record for record in joined_by_place(self.records)}
        #: With their paths, by which Galaxy's datasets are recognised; identities are those of the published ones.
        self.originals = {job: known[record.id] for job, record in joined.items()}
        if publish:
            self.records, attachments = published(self.records, attachments)
            known = {record.id: record for record in self.records}
        self.joined = {job: known[record.id] for job, record in joined.items()}
        self.others = [known[record.id] for record in others]
        self.workflow = invocation.main_workflow
        self.attachments = attachments
        self.files = dict(attachments)
        self.graph = Graph()
        self.datasets = Datasets(self.graph, invocation, names=not publish)
        self.steps: list[WorkflowStep] = []
        self.labels: dict[str, GalaxyStep] = {}
        self.names: set[str] = set()
        self.record_files: dict[str, str] = {}

    def build(self, details: CrateDetails) -> dict[str, bytes]:
        graph, invocation = self.graph, self.invocation
        graph.add(
            METADATA_FILE, "CreativeWork", about={"@id": "./"}, conformsTo={"@id": "https://w3id.org/ro/crate/1.1"}
        )
        graph.link(METADATA_FILE, "conformsTo", [WORKFLOW_RO_CRATE])
        graph.add("./", "Dataset", mainEntity={"@id": self.workflow})
        graph.add(PREVIEW_FILE, "CreativeWork", name="Page to read", about={"@id": "./"}, encodingFormat="text/html")
        self.files |= add_galaxy_workflow(graph, invocation)
        self.tables = add_attachments(graph, self.records, self.attachments)
        outside = []
        for record in self.others:
            name = self._unique(f"outside {record.command}")
            outside.append(
                add_action(graph, record, name, self._add_record(record, name), self.tables.get(record.id, ()))
            )
        for identifier, record in self.originals.items():
            job = invocation.jobs[identifier]
            self.datasets.recognise(record.inputs, job.inputs, made=False)
            self.datasets.recognise(record.outputs, job.outputs, made=True)
        for step in invocation.steps:
            if any(job in invocation.jobs for job in step.jobs):
                self.steps.append(self._add_step(step))
        if not self.steps:
            raise InputError("No step of the workflow ran a tool, so there is nothing to merge.")
        self.datasets.name_all()
        controls = add_steps(graph, self.workflow, self.steps)
        actions = self._add_run(controls)
        mentioned = [*outside, *(action for step in self.steps for action in step.actions), *actions]
        details = replace(
            details,
            name=details.name or f"Run of the workflow '{invocation.workflow_name}' in Galaxy",
            description=details.description or self._description(),
            license=details.license or invocation.workflow_license,
        )
        profiles = [add_profile(graph, profile) for profile in PROFILES]
        describe_root(graph, self.records, mentioned, details, profiles)
        graph["./"]["datePublished"] = str(graph[RUN]["endTime"])[:10]
        self._name_parameters()
        self.files[README_FILE] = readme(graph, self.steps).encode()
        add_file(graph, README_FILE, self.files[README_FILE], "What this crate is", about={"@id": "./"})
        graph.link("./", "hasPart", [README_FILE])
        self.files[METADATA_FILE] = metadata_file(graph)
        self.files[PREVIEW_FILE] = preview_page(graph["./"], self.records, record_files=self.record_files).encode()
        return self.files

    def _add_step(self, step: GalaxyStep) -> WorkflowStep:
        """Add all jobs of a step; they share the tool, and what they took and made is taken together."""
        name = self._unique(step.name)
        self.labels[name] = step
        tool = self._add_tool(step, name)
        jobs = [self.invocation.jobs[job] for job in step.jobs if job in self.invocation.jobs]
        actions: list[str] = []
        takes: dict[str, tuple[str, ...]] = {}
        makes: dict[str, tuple[str, ...]] = {}
        for number, job in enumerate(jobs, start=1):
            own = name if len(jobs) == 1 else f"{name}-{number}"
            record = self.joined.get(job.id)
            ran = self._add_job(job, own, tool) if record is None else self._add_joined(job, record, own, tool)
            settings = self._settings(job) if record is None else record.parameters
            add_settings(self.graph, WorkflowStep(name, (), tool, {}, {}), own, settings)
            actions.append(ran[0])
            for sums, part in zip((takes, makes), ran[1:], strict=True):
                for key, data in part.items():
                    sums[key] = tuple(dict.fromkeys([*sums.get(key, ()), *data]))
        return WorkflowStep(name, tuple(actions), tool, takes, makes)

    def _add_tool(self, step: GalaxyStep, name: str) -> str:
        parts = step.tool.split("/")
        shed = f"https://{parts[0]}/view/{quote(parts[2])}/{quote(parts[3])}" if len(parts) == 6 else GALAXY_PAGE
        ours = short_tool(step.tool).startswith("chunkwise_")
        return self.graph.add(
            f"#tool-{name}",
            "SoftwareApplication",
            name=short_tool(step.tool),
            description=step.description or f"The tool {short_tool(step.tool)} of Galaxy.",
            identifier=step.tool,
            softwareVersion=step.version,
            url=home_page("chunkwise") if ours else shed,
        )

    def _add_joined(self, job: GalaxyJob, record: RunRecord, name: str, tool: str) -> _Ran:
        """Add a job that has a record: what the record says, and the datasets that only Galaxy knows."""
        graph = self.graph
        graph.link(tool, "softwareRequirements", [add_program(graph, record)])
        action = add_action(
            graph, record, name, self._add_record(record, name), self.tables.get(record.id, ()), tool=tool
        )
        graph[action]["description"] = f"{graph[action]['description']} It was the job {job.id} of Galaxy."
        if job.state in FAILED_STATES and record.status == "completed":
            graph[action].update(_failure(job))
        original = self.originals[job.id]
        takes = self.datasets.join(original.inputs, job.inputs, made=False)
        makes = self.datasets.join(original.outputs, job.outputs, made=True)
        graph.link(action, "object", [data for group in takes.values() for data in group])
        graph.link(action, "result", [data for group in makes.values() for data in group])
        return action, takes, makes

    def _add_job(self, job: GalaxyJob, name: str, tool: str) -> _Ran:
        """Add a job that left no record: of another tool, or of one of ours that writes none."""
        graph = self.graph
        takes = self.datasets.join((), job.inputs, made=False)
        makes = self.datasets.join((), job.outputs, made=True)
        parameters = [
            graph.value(f"#{name}-parameter-{quote(key, safe='')}", key, value)
            for key, value in self._settings(job).items()
        ]
        action = graph.add(
            f"#{name}",
            "CreateAction",
            name=short_tool(job.tool),
            description=f"The job {job.id} of Galaxy, which left no run record. Its times are Galaxy's: from when "
            "the job and all its inputs were there, the earliest that it can have started, to when Galaxy last "
            "changed it.",
            instrument=reference([tool]),
            object=reference([*(data for group in takes.values() for data in group), *parameters]),
            result=reference([data for group in makes.values() for data in group] or [self.workflow]),
            startTime=self._earliest(job),
            endTime=job.updated,
            actionStatus=STATUS["completed"],
            agent=reference([graph.not_stated()]),
        )
        if job.state in FAILED_STATES:
            graph[action].update(_failure(job))
        return action, takes, makes

    def _settings(self, job: GalaxyJob) -> dict[str, Json]:
        return {name: value for name, value in flat_parameters(job.parameters).items() if self._may_leave(value)}

    def _may_leave(self, value: Json) -> bool:
        """For everybody are numbers, truth values and what was not set: a text may be anything."""
        return not self.publish or not isinstance(value, str | list | dict) or bool(_PLAIN.fullmatch(str(value)))

    def _earliest(self, job: GalaxyJob) -> str:
        """Return when a job can have begun: Galaxy makes all jobs of a workflow at once, and lets them wait."""
        taken = {dataset for group in job.inputs.values() for dataset in group}
        made = [
            other.updated
            for other in self.invocation.jobs.values()
            if taken & {dataset for group in other.outputs.values() for dataset in group}
        ]
        # One that Galaxy touched later on says nothing.
        return max((time for time in (job.created, *made) if time <= job.updated), default=job.updated)

    def _add_record(self, record: RunRecord, name: str) -> str:
        """Put a record into the crate; without what was learned of its inputs from other records."""
        file = self.record_files[record.id] = f"records/{name}.json"
        original = next(one for one in self.records if one.id == record.id)
        self.files[file] = original.to_json().encode()
        add_file(self.graph, file, self.files[file], f"Run record of {name}", about={"@id": f"#{name}"})
        return file

    def _add_run(self, controls: Sequence[str]) -> list[str]:
        """Add the run of the workflow and Galaxy as what organised it."""
        graph, invocation = self.graph, self.invocation
        galaxy = add_engine(graph, "Galaxy", GALAXY_PAGE, invocation.galaxy)
        words = "Galaxy started the jobs of the workflow."
        actions = add_run(graph, self.workflow, self.steps, controls, [galaxy], words)
        for action in actions:
            # Galaxy took the order before it made the first job.
            graph[action]["startTime"] = min(
                invocation.start, str(graph[action]["startTime"]), key=datetime.fromisoformat
            )
        graph[RUN]["name"] = f"Run of the workflow '{invocation.workflow_name}'"
        if invocation.state in FAILED_STATES:
            for action in actions:
                graph[action]["actionStatus"] = STATUS["failed"]
                graph[action].setdefault("error", f"Galaxy gave the invocation the state '{invocation.state}'.")
        for label, value in invocation.inputs:
            if "value" in value and self._may_leave(value["value"]):
                key = self._unique(f"workflow {label}")
                given = graph.value(f"#{key}-value", label, value["value"])
                add_setting(graph, self.workflow, f"#{key}", label, value["value"], given)
                graph.link(RUN, "object", [given])
        for name, step in self.labels.items():
            graph[f"#{name}-step"]["name"] = step.name
            if step.description:
                graph[f"#{name}-step"]["description"] = step.description
        return actions

    def _name_parameters(self) -> None:
        """Call the workflow's inputs and outputs as the workflow does, instead of by the tools' parameters."""
        for direction, labelled in (("input", self.invocation.inputs), ("output", self.invocation.outputs)):
            for label, value in labelled:
                members = [value["dataset"]] if "dataset" in value else self._collection(value.get("collection"))
                data = {self.datasets.known[str(one)] for one in members if str(one) in self.datasets.known}
                for parameter in targets(self.graph[self.workflow].get(direction)):
                    entity = self.graph[parameter]
                    if data & set(targets(entity.get("workExample"))):
                        entity["name"] = label

    def _collection(self, identifier: Json) -> tuple[str, ...]:
        return self.invocation.collections.get(str(identifier), ("", ()))[1]

    def _description(self) -> str:
        ran = [step for step in self.invocation.steps if any(job in self.invocation.jobs for job in step.jobs)]
        left = [step.name for step in self.invocation.steps if step not in ran]
        sentence = (
            f"What Galaxy {self.invocation.galaxy} did in the steps {', '.join(step.name for step in ran)}, and what "
            f"chunkwise recorded in {len(self.joined)} of them. The data are not in this crate; it says where they "
            "were and how to recognise them."
        )
        return f"{sentence} Not run: {', '.join(left)}." if left else sentence

    def _unique(self, text: str) -> str:
        """Return a name that can be part of an identifier and was not returned before."""
        plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "step"
        name, number = plain, 2
        while name in self.names:
            name, number = f"{plain}-{number}", number + 1
        self.names.add(name)
        return name


def _failure(job: GalaxyJob) -> dict[str, Json]:
    """Say that a job failed. What it printed stays out, for it may name paths and people."""
    return {"actionStatus": STATUS["failed"], "error": f"Galaxy gave the job the state '{job.state}'."}
