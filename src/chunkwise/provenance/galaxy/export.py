"""Galaxy's own export of a workflow invocation, as its archive for RO-Crate holds it.

The crate part of the archive follows Workflow Run Crate 0.1 and says little: no tool's action, times of
the workflow's definition instead of the run. But Galaxy adds what its database knows, as JSON files
(``jobs_attrs.txt`` and the like), and these are read here. Nothing in the archive is trusted: names,
sizes and types are checked, and no file of it is ever written to disk.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from chunkwise.errors import InputError
from chunkwise.provenance.collect import records_in, records_in_crate
from chunkwise.provenance.fields import Json, json_list, json_object, json_text
from chunkwise.provenance.galaxy.archive import LARGEST, Archive, open_archive
from chunkwise.provenance.galaxy.invocation import GalaxyDataset, GalaxyJob, GalaxyStep, Invocation
from chunkwise.provenance.galaxy.join import short_tool
from chunkwise.provenance.record import RunRecord
from chunkwise.storage.json_text import parse_json

__all__ = ["read_galaxy_export"]

METADATA_FILE: Final = "ro-crate-metadata.json"
PROFILE: Final = "https://w3id.org/ro/wfrun/workflow/"
PROFILE_VERSION: Final = "0.1"
EXPORT_VERSION: Final = "2"

_LARGEST_ALL: Final = 2**30  # bytes of all data files that are hashed
_IDENTIFIER = re.compile(r"[0-9a-f]{1,64}")
_WORKFLOW = re.compile(r"workflows/[A-Za-z0-9][A-Za-z0-9._-]*\.(?:ga|gxwf\.yml|cwl)")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_galaxy_export(path: Path | str) -> Invocation:
    """Read the archive that Galaxy writes for 'Export invocation as RO-Crate'.

    Raises
    ------
    InputError
        If it is no such archive, of another version, damaged, or holds names or sizes that it should not.
    """
    with open_archive(Path(path)) as archive:
        return _Reader(archive).read()


class _Reader:
    """Reads one archive; every sentence of an error names it."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.path = archive.path
        self.entries = archive.entries

    def read(self) -> Invocation:
        self._check_crate()
        jobs = {job.id: job for job in self._jobs()}
        datasets = {dataset.id: dataset for dataset in self._datasets()}
        invocation, others = self._invocations()
        main = self._main_workflow(invocation)
        workflow = json_object(self.archive.json(f"{main}.ga"), "The workflow", required=("steps",))
        links = json_list(invocation, "output_datasets", "An invocation")
        linked_collections = json_list(invocation, "output_dataset_collections", "An invocation")
        creators = workflow.get("creator")
        return Invocation(
            workflow_name=str(workflow.get("name") or "Workflow without a name"),
            workflow_text=" ".join(str(workflow.get("annotation") or "").split()),
            workflow_license=str(workflow["license"]) if workflow.get("license") else None,
            workflow_creators=tuple(one for one in creators if isinstance(one, dict))
            if isinstance(creators, list)
            else (),
            main_workflow=f"{main}.gxwf.yml",
            start=_time(json_text(invocation, "create_time", "An invocation"), "An invocation"),
            end=_time(json_text(invocation, "update_time", "An invocation"), "An invocation"),
            state=json_text(invocation, "state", "An invocation"),
            galaxy=max((job.galaxy for job in jobs.values()), default="unknown"),
            files=self._files(),
            steps=tuple(self._steps(workflow, invocation, others)),
            jobs=jobs,
            datasets=datasets,
            collections=dict(self._collections()),
            inputs=tuple(self._inputs(workflow, invocation)),
            outputs=tuple(
                (self._label(link), {kind: self._link(link, key)})
                for kind, key, found in (
                    ("dataset", "dataset", links),
                    ("collection", "dataset_collection", linked_collections),
                )
                for link in found
            ),
            records=self._records(jobs.values()),
        )

    def _files(self) -> dict[str, bytes]:
        """Return the files of the workflow, which go into the crate as they are."""
        names = [name for name in sorted(self.entries) if _WORKFLOW.fullmatch(name)]
        if sum(self.entries[name].file_size for name in names) > LARGEST:
            raise InputError(f"Workflows in {self.path} unpack to more than {LARGEST // 2**20} MiB: it is not read.")
        return {name: self.archive.content(name) for name in names}

    def _check_crate(self) -> None:
        """Refuse what is no export of an invocation, or of a version that is not known."""
        if METADATA_FILE not in self.entries:
            raise InputError(f"{self.path} is not an RO-Crate: it has no {METADATA_FILE} at its top.")
        graph = json_list(
            json_object(self.archive.json(METADATA_FILE), f"The {METADATA_FILE} of {self.path}"), "@graph", "It"
        )
        root = next((entity for entity in graph if isinstance(entity, dict) and entity.get("@id") == "./"), {})
        links = root.get("conformsTo") or []
        named = [
            str(link.get("@id")) for link in (links if isinstance(links, list) else [links]) if isinstance(link, dict)
        ]
        versions = [name.removeprefix(PROFILE) for name in named if name.startswith(PROFILE)]
        if not versions or not {"jobs_attrs.txt", "invocation_attrs.txt", "datasets_attrs.txt"} <= set(self.entries):
            raise InputError(
                f"{self.path} is not Galaxy's export of an invocation; in Galaxy, open the invocation, choose "
                "Export, and RO-Crate there."
            )
        if versions != [PROFILE_VERSION]:
            raise InputError(
                f"{self.path} follows Workflow Run Crate {versions[0][:20]}; this chunkwise reads Galaxy's exports, "
                f"which follow {PROFILE_VERSION}."
            )
        version = json_object(self.archive.json("export_attrs.txt"), "The export").get("galaxy_export_version")
        if version != EXPORT_VERSION:
            raise InputError(
                f"{self.path} has version {str(version)[:20]} of Galaxy's export; this chunkwise reads version "
                f"{EXPORT_VERSION}."
            )

    def _main_workflow(self, invocation: Mapping[str, Json]) -> str:
        """Return where the workflow lies, without ending; Galaxy's crate may call one within it the main one."""
        name = f"workflows/{invocation.get('workflow')}"
        if not {f"{name}.ga", f"{name}.gxwf.yml"} <= set(self.entries) or not _WORKFLOW.fullmatch(f"{name}.ga"):
            raise InputError(f"{self.path} lacks the file of its workflow; export the invocation again.")
        return name

    def _steps(
        self,
        workflow: Mapping[str, Json],
        invocation: Mapping[str, Json],
        others: Mapping[str, dict[str, Json]],
        above: str = "",
    ) -> Iterator[GalaxyStep]:
        """Yield the steps that run tools, those of a workflow within the workflow under its name."""
        mapped = {
            json_text(entry, "encoded_id", "Jobs of a collection"): tuple(
                str(job) for job in json_list(entry, "jobs", "It")
            )
            for entry in self.archive.objects("implicit_collection_jobs_attrs.txt", "Jobs of a collection")
        }
        ran = {_number(step): step for step in _objects(invocation, "steps")}
        below = {_number(entry): entry for entry in _objects(invocation, "subworkflow_invocations")}
        for number, step in _numbered(workflow):
            name = above + str(step.get("label") or step.get("name") or f"step {number + 1}")
            if step.get("type") == "subworkflow":
                inner = below.get(number, {}).get("subworkflow_invocation")
                invoked = others.get(str(inner.get("encoded_id"))) if isinstance(inner, dict) else None
                if invoked is None:
                    raise InputError(f"{self.path} does not say what ran in the step '{name[:60]}'; export it again.")
                yield from self._steps(
                    json_object(step.get("subworkflow"), "A workflow"), invoked, others, f"{name} / "
                )
            if step.get("type") != "tool":
                continue
            facts = ran.get(number, {})
            job, many = facts.get("job"), facts.get("implicit_collection_jobs")
            jobs: tuple[str, ...] = ()
            if isinstance(job, dict):
                jobs = (json_text(job, "encoded_id", "A job"),)
            elif isinstance(many, dict):
                jobs = mapped.get(str(many.get("encoded_id")), ())
            yield GalaxyStep(
                name=name,
                description=" ".join(str(step.get("annotation") or "").split()),
                tool=json_text(step, "tool_id", "A step"),
                version=str(step.get("tool_version") or "unknown"),
                jobs=jobs,
            )

    def _jobs(self) -> Iterator[GalaxyJob]:
        for entry in self.archive.objects("jobs_attrs.txt", "A job"):
            parameters = entry.get("params")
            yield GalaxyJob(
                id=_identifier(entry, "A job"),
                tool=json_text(entry, "tool_id", "A job"),
                version=str(entry.get("tool_version") or "unknown"),
                galaxy=str(entry.get("galaxy_version") or "unknown"),
                state=json_text(entry, "state", "A job"),
                created=_time(json_text(entry, "create_time", "A job"), "A job"),
                updated=_time(json_text(entry, "update_time", "A job"), "A job"),
                # What begins with two underscores, and these, Galaxy keeps for itself.
                parameters={
                    name: value
                    for name, value in (parameters if isinstance(parameters, dict) else {}).items()
                    if not name.startswith("__") and name not in ("chromInfo", "dbkey")
                },
                inputs=_mapping(entry, "input_dataset_mapping"),
                outputs=_mapping(entry, "output_dataset_mapping"),
            )

    def _datasets(self) -> Iterator[GalaxyDataset]:
        hashed = 0
        for entry in self.archive.objects("datasets_attrs.txt", "A dataset"):
            facts = entry.get("file_metadata")
            known: dict[str, Any] = facts if isinstance(facts, dict) else {}
            sources = [source for source in _listed(known.get("sources")) if isinstance(source, dict)]
            uuid = json_text(entry, "dataset_uuid", "A dataset")
            if not _UUID.fullmatch(uuid):
                raise InputError(f"{self.path} has a dataset with the UUID '{uuid[:60]}', which is not a UUID.")
            state = str(entry.get("state"))
            size = digest = None
            content = self.entries.get(str(entry.get("file_name")))
            if content is not None and "extra_files_path" not in entry and state == "ok":
                size = content.file_size
                if size <= LARGEST and hashed + size <= _LARGEST_ALL:
                    hashed += size
                    digest = hashlib.sha256(self.archive.content(content.filename)).hexdigest()
            yield GalaxyDataset(
                id=_identifier(entry, "A dataset"),
                uuid=uuid,
                name=str(entry.get("name") or "Dataset without a name"),
                extension=str(entry.get("extension") or "data"),
                state=state,
                changed=_time(json_text(entry, "update_time", "A dataset"), "A dataset"),
                source=next((str(source["source_uri"]) for source in sources if source.get("source_uri")), None),
                basename=str(known["created_from_basename"]) if known.get("created_from_basename") else None,
                size=size,
                sha256=digest,
            )

    def _collections(self) -> Iterator[tuple[str, tuple[str, tuple[str, ...]]]]:
        for entry in self.archive.objects("collections_attrs.txt", "A collection"):
            found: list[str] = []
            _elements(entry.get("collection"), found)
            yield _identifier(entry, "A collection"), (str(entry.get("display_name") or "Collection"), tuple(found))

    def _invocations(self) -> tuple[dict[str, Json], dict[str, dict[str, Json]]]:
        """Return the invocation of the workflow itself, and all by their identifiers."""
        found = {
            _identifier(entry, "An invocation"): entry
            for entry in self.archive.objects("invocation_attrs.txt", "An invocation")
        }
        inner = {
            str(inside.get("encoded_id"))
            for entry in found.values()
            for link in _objects(entry, "subworkflow_invocations")
            if isinstance(inside := link.get("subworkflow_invocation"), dict)
        }
        outer = [entry for identifier, entry in found.items() if identifier not in inner]
        if len(outer) != 1:
            raise InputError(f"{self.path} contains {len(outer)} invocations; export one at a time.")
        return outer[0], found

    def _inputs(
        self, workflow: Mapping[str, Json], invocation: Mapping[str, Json]
    ) -> Iterator[tuple[str, dict[str, Json]]]:
        """Yield what the person chose; what Galaxy's crate says of these values is always null."""
        labels = {number: str(step.get("label") or f"Input {number + 1}") for number, step in _numbered(workflow)}
        found: list[tuple[int, dict[str, Json]]] = []
        for key, kind, link in (
            ("input_datasets", "dataset", "dataset"),
            ("input_dataset_collections", "collection", "dataset_collection"),
        ):
            for entry in _objects(invocation, key):
                found.append((_number(entry), {kind: self._link(entry, link)}))
        for entry in _objects(invocation, "input_step_parameters"):
            found.append((_number(entry), {"value": entry.get("parameter_value")}))
        for number, value in sorted(found, key=lambda item: item[0]):
            yield labels.get(number, f"Input {number + 1}"), value

    def _records(self, jobs: Iterable[GalaxyJob]) -> dict[str, list[RunRecord]]:
        """Return the run records that lie in datasets: in crates of runs, in references, and in records of their own.

        A crate that a step built of others holds their records again, perhaps as they are published: it is left out.
        """
        builders = [job for job in jobs if short_tool(job.tool).startswith("chunkwise_crate")]
        built = {one for job in builders for ids in job.outputs.values() for one in ids}
        found: dict[str, list[RunRecord]] = {}
        for entry in self.archive.objects("datasets_attrs.txt", "A dataset"):
            content = self.entries.get(str(entry.get("file_name")))
            if content is None or not 0 < content.file_size <= LARGEST:
                continue
            records: list[RunRecord] = []
            if entry.get("extension") == "json":
                records = self._in_json(content.filename)
            elif entry.get("extension") == "zip" and entry.get("encoded_id") not in built:
                file = io.BytesIO(self.archive.content(content.filename))
                records = records_in_crate(file, f"{content.filename} in {self.path}")
            if records:
                found[_identifier(entry, "A dataset")] = records
        return found

    def _in_json(self, name: str) -> list[RunRecord]:
        try:
            parsed = parse_json(self.archive.content(name), finite=True)
        except (ValueError, RecursionError):
            return []  # other tools may call anything JSON
        return records_in(parsed)

    def _link(self, entry: Mapping[str, Json], key: str) -> str:
        return _identifier(json_object(entry.get(key), "A link"), "A link")

    def _label(self, entry: Json) -> str:
        known = json_object(entry, "An output").get("workflow_output")
        output = known if isinstance(known, dict) else {}
        return str(output.get("label") or output.get("output_name") or "Output")


def _time(text: str, what: str) -> str:
    """Galaxy writes UTC without saying so, with a space or a T; the profile wants milliseconds and a zone."""
    try:
        time = datetime.fromisoformat(text)
        time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError(f"{what} of the export has the time '{text[:40]}', which is not a time.") from None
    return time.isoformat(timespec="milliseconds")


def _identifier(entry: Mapping[str, Json], what: str) -> str:
    text = json_text(entry, "encoded_id", what)
    if not _IDENTIFIER.fullmatch(text):
        raise InputError(f"{what} of the export has the identifier '{text[:60]}', which is not one of Galaxy's.")
    return text


def _mapping(entry: Mapping[str, Json], key: str) -> dict[str, tuple[str, ...]]:
    """Return the datasets of each parameter. Of a parameter that takes many, Galaxy lists each once more by number."""
    content = entry.get(key)
    found = {
        name: tuple(str(one) for one in ids)
        for name, ids in (content if isinstance(content, dict) else {}).items()
        if isinstance(ids, list)
    }
    merged: dict[str, tuple[str, ...]] = {}
    for name, ids in found.items():
        plain = name.rstrip("0123456789")
        name = plain if plain in found else name
        merged[name] = tuple(dict.fromkeys([*merged.get(name, ()), *ids]))
    return merged


def _numbered(workflow: Mapping[str, Json]) -> list[tuple[int, dict[str, Json]]]:
    steps = json_object(workflow.get("steps"), "The list of steps")
    if not all(number.isdecimal() for number in steps):
        raise InputError("The steps of the workflow are not numbered.")
    return sorted((int(number), json_object(step, "A step")) for number, step in steps.items())


def _objects(entry: Mapping[str, Json], key: str) -> list[dict[str, Json]]:
    return [json_object(one, "A part of an invocation") for one in json_list(entry, key, "An invocation")]


def _number(entry: Mapping[str, Json]) -> int:
    value = entry.get("order_index")
    if isinstance(value, bool) or not isinstance(value, int):
        raise InputError("A step or an input of the invocation has no number.")
    return value


def _listed(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []


def _elements(collection: Json, found: list[str]) -> None:
    """Add the datasets of a collection, those of collections within it too."""
    entry = collection if isinstance(collection, dict) else {}
    for element in _listed(entry.get("elements")):
        if not isinstance(element, dict):
            continue
        dataset = element.get("hda")
        if isinstance(dataset, dict) and dataset.get("encoded_id"):
            found.append(str(dataset["encoded_id"]))
        _elements(element.get("child_collection"), found)
