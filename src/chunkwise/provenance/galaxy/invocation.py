"""What Galaxy knows of one invocation of a workflow: its steps, jobs and datasets."""

from __future__ import annotations

from dataclasses import dataclass, field

from chunkwise.provenance.fields import Json
from chunkwise.provenance.record import RunRecord

__all__ = ["GalaxyDataset", "GalaxyJob", "GalaxyStep", "Invocation"]


@dataclass(frozen=True)
class GalaxyDataset:
    """A dataset of the history; times are ISO 8601 in UTC."""

    id: str
    uuid: str
    name: str
    extension: str
    state: str
    changed: str
    source: str | None
    """Where the bytes of a deferred dataset lie."""
    basename: str | None
    """The name under which the tool wrote it, where Galaxy took it from the working directory."""
    size: int | None = None
    """Bytes, where the file is in the export; of a directory only its main file is, so nothing is known."""
    sha256: str | None = None


@dataclass(frozen=True)
class GalaxyJob:
    """One run of one tool. It began some time after ``created``, for it waited for its inputs and for a place."""

    id: str
    tool: str
    version: str
    galaxy: str
    state: str
    created: str
    updated: str
    parameters: dict[str, Json]
    inputs: dict[str, tuple[str, ...]]
    """Datasets by the name of the parameter."""
    outputs: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class GalaxyStep:
    """A step that runs a tool; a step that was mapped over a collection has many jobs, one that was left out none."""

    name: str
    description: str
    tool: str
    version: str
    jobs: tuple[str, ...]


@dataclass(frozen=True)
class Invocation:
    """One run of one workflow, as Galaxy exported it."""

    workflow_name: str
    workflow_text: str
    workflow_license: str | None
    workflow_creators: tuple[dict[str, Json], ...]
    main_workflow: str
    """Name of the workflow's main file among ``files``."""
    start: str
    end: str
    state: str
    galaxy: str
    """Galaxy's version."""
    files: dict[str, bytes]
    """The workflow in every form that Galaxy wrote; its page is left out, for it runs scripts from elsewhere."""
    steps: tuple[GalaxyStep, ...]
    jobs: dict[str, GalaxyJob]
    datasets: dict[str, GalaxyDataset]
    collections: dict[str, tuple[str, tuple[str, ...]]]
    """Name and datasets of each."""
    inputs: tuple[tuple[str, Json], ...]
    """Label of each input of the workflow, with ``{"dataset": ID}``, ``{"collection": ID}`` or ``{"value": ...}``."""
    outputs: tuple[tuple[str, dict[str, Json]], ...]
    records: dict[str, list[RunRecord]] = field(default_factory=dict)
    """Run records of chunkwise by the dataset in which they lie."""
