"""Galaxy's datasets as entities of a crate, one entity with what a run record says of the same data."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final

from chunkwise.provenance.entities import Graph, data_id
from chunkwise.provenance.fields import Json
from chunkwise.provenance.galaxy.invocation import GalaxyDataset, Invocation
from chunkwise.provenance.galaxy.join import uuids_in
from chunkwise.provenance.record import STORES, Resource

__all__ = ["Datasets", "flat_parameters"]

_DIRECTORIES: Final = ("directory", "ome_zarr", "zarr")
_MEDIA_TYPES: Final = {
    "html": "text/html",
    "json": "application/json",
    "ome_zarr": "application/vnd.zarr",
    "parquet": "application/vnd.apache.parquet",
    "geojson": "application/geo+json",
    "png": "image/png",
    "tabular": "text/tab-separated-values",
    "tiff": "image/tiff",
    "tsv": "text/tab-separated-values",
    "txt": "text/plain",
    "zarr": "application/vnd.zarr",
    "zip": "application/zip",
}
#: How Galaxy calls a dataset that a tool's collection was found to have.
_DISCOVERED = re.compile(r"__new_primary_file_(.+)\|.*__")


class Datasets:
    """Adds each dataset once, to the entity of a record's resource where that is the same data."""

    def __init__(self, graph: Graph, invocation: Invocation, *, names: bool = True) -> None:
        self.graph = graph
        self.names = names
        """Whether to call datasets as somebody named them; they may hold names of people and patients."""
        self.datasets = invocation.datasets
        self.known: dict[str, str] = {}
        """The entity of each dataset, by Galaxy's identifier."""
        self._described: dict[str, str] = {}
        """The same, of those that a record describes."""

    def recognise(self, resources: Sequence[Resource], of_job: Mapping[str, Sequence[str]], *, made: bool) -> None:
        """Note which datasets a record describes, before :meth:`join` is called for any job; parameters as there."""
        for name, dataset in self._of(of_job):
            same = _same(dataset, name, resources, made)
            if same is not None:
                self._described.setdefault(dataset.id, data_id(same))

    def join(
        self, resources: Sequence[Resource], of_job: Mapping[str, Sequence[str]], *, made: bool
    ) -> dict[str, tuple[str, ...]]:
        """Return, by name, the data that a run took or made: what its record says, and what only Galaxy knows.

        Parameters
        ----------
        resources : sequence of Resource
            The record's inputs or outputs; empty where there is no record.
        of_job : mapping of str to sequence of str
            Galaxy's datasets by the name of the tool's parameter.
        made : bool
            Whether these are outputs.
        """
        groups: dict[str, list[str]] = {}
        for resource in resources:
            groups.setdefault(resource.name, []).append(data_id(resource))
        for name, dataset in self._of(of_job):
            self.known[dataset.id] = self._described.get(dataset.id) or self._add(dataset)
            if _same(dataset, name, resources, made) is None:
                groups.setdefault(name, []).append(self.known[dataset.id])
        return {name: tuple(dict.fromkeys(data)) for name, data in groups.items()}

    def name_all(self) -> None:
        """Say of data that records describe how Galaxy knows them, once all records are in the graph."""
        for identifier, entity in self._described.items():
            dataset, label = self.datasets[identifier], "UUID of the dataset in Galaxy"
            if self.names:
                self.graph[entity].setdefault("alternateName", dataset.name)
            fact = self.graph.value(f"{entity}-galaxy", label, f"urn:uuid:{dataset.uuid}", propertyID="uuid")
            self.graph.link(entity, "additionalProperty", [fact])

    def _of(self, of_job: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, GalaxyDataset]]:
        for name, identifiers in of_job.items():
            found = _DISCOVERED.fullmatch(name)
            for identifier in identifiers:
                if identifier in self.datasets:
                    yield found.group(1) if found else name, self.datasets[identifier]

    def _add(self, dataset: GalaxyDataset) -> str:
        """Add a dataset that no record describes."""
        directory = dataset.extension in _DIRECTORIES
        return self.graph.add(
            f"#{dataset.uuid}",
            "Dataset" if directory else "File",
            name=dataset.name if self.names else f"Dataset ({dataset.extension})",
            description=f"Dataset of Galaxy in the format '{dataset.extension}'; not part of this crate.",
            identifier=f"urn:uuid:{dataset.uuid}",
            encodingFormat=_MEDIA_TYPES.get(dataset.extension, "application/octet-stream"),
            contentSize=None if dataset.size is None else str(dataset.size),
            dateModified=dataset.changed,
            sha256=dataset.sha256,
        )


def _same(dataset: GalaxyDataset, name: str, resources: Sequence[Resource], made: bool) -> Resource | None:
    """Return the resource that is a dataset: by the UUID in its path, by its bytes, or by its name in this very job."""
    directory = dataset.extension in _DIRECTORIES
    by_name = []
    for resource in resources:
        fingerprint = resource.fingerprint or {}
        if dataset.uuid in uuids_in([resource]) or (dataset.sha256 and dataset.sha256 == fingerprint.get("value")):
            return resource
        if (resource.kind in STORES) != directory:
            continue  # such as a reference: the dataset is the small file, the resource is the store
        if PurePosixPath(resource.location).name == dataset.basename if made else resource.name == name:
            by_name.append(resource)
    return by_name[0] if len(by_name) == 1 else None


def flat_parameters(parameters: Mapping[str, Json]) -> dict[str, Json]:
    """Return a job's settings as Galaxy names them (``section|name``), without data and bookkeeping."""
    return dict(_flat(parameters, ""))


def _flat(parameters: Mapping[str, Json], above: str) -> Iterator[tuple[str, Json]]:
    for name, value in parameters.items():
        if name.startswith("__"):
            continue
        if isinstance(value, dict) and set(value) == {"values"}:
            continue  # a dataset or collection, which is told as such
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}|")
        else:
            yield above + name, value
