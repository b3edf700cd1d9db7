"""Runs that make a store: the layout of what is written, its name, its manifest, its record."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.cluster.resources import Resources
from chunkwise.errors import InputError, ResumableError
from chunkwise.ngff.channels import omero_of
from chunkwise.ngff.layout import OutputImage, levels_like, output_like, shard_of, write_documents
from chunkwise.ngff.model import Channel, Image
from chunkwise.ngff.read import open_image
from chunkwise.ngff.volumes import Selection, VolumeSource
from chunkwise.operations.model import Labels, Voxels
from chunkwise.ops.content import Content
from chunkwise.ops.write_unit import content_of
from chunkwise.reference import OpenedInput, describe
from chunkwise.running.inputs import Input
from chunkwise.running.life import LifeCycle
from chunkwise.running.places import Place, find_place
from chunkwise.running.request import Request, Result
from chunkwise.storage.fingerprint import ALGORITHM
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location, in_archive
from chunkwise.storage.lock import held
from chunkwise.storage.manifest import ATTACHED, FILE_NAME, Manifest, manifest_name
from chunkwise.storage.writer import StoredObject, json_bytes, put_object

if TYPE_CHECKING:
    from chunkwise.ops.local import LocalVolumes

__all__ = ["Also", "StoreRun", "laid_out"]

#: Seconds that it waits for another one to write a few lines.
LISTING = 60.0


@dataclass(frozen=True)
class Also:
    """A label image that is written into the store of its image."""

    source: Input
    grid: Grid
    output: OutputImage


def laid_out(
    request: Request,
    selection: Selection,
    dtype: str,
    channels: Sequence[Channel],
    *,
    name: str = "",
    count: int | None = None,
    labels: bool = False,
    **layout: Any,
) -> OutputImage:
    """Lay out the image, or the labels, that an operation makes of a selection.

    Parameters
    ----------
    channels : sequence of Channel
        Of the result; labels have none.
    name : str
        Of the multiscale, where it is not that of the image.
    labels : bool
        Whether it is a label image although the operation gives images.
    count, **layout
        As of :func:`chunkwise.ngff.layout.output_like`; they count more than what the operation says.
    """
    made, to = request.operation.gives, request.to
    assert isinstance(made, Voxels)
    labels = labels or isinstance(made, Labels)
    usual = {
        "labels": labels,
        "shard": to.shard,
        "pyramid": to.pyramid,
        "downsampling": "nearest" if dtype == "bool" else made.downsampling,  # a mean of masks would be wider
        "omero": None if labels else omero_of(tuple(channels), dtype),
    }
    return output_like(selection, name or selection.image.name or "image", dtype, channels=count, **(usual | layout))


class StoreRun(LifeCycle):
    """A run that makes a store.

    Parameters
    ----------
    request : Request
        What was asked for.
    opened : OpenedInput
        The image that is read.
    selection : Selection
        What of it.
    grid : Grid
        Of the blocks.
    recorded : dict
        Parameters of the run record, but block and shard.
    output : OutputImage, optional
        What is written; else labels, as :meth:`label_image` lays them out.
    shard : tuple of int, optional
        As in :func:`fit_blocks`.
    sources : sequence of VolumeSource, optional
        What is read where it is not the selection.
    also : sequence of Also, optional
        What else is written.
    others : sequence of Input, optional
        What else is read.
    beside : str, optional
        What tells that files which are copied beside the image are still the same.
    """

    def __init__(
        self,
        request: Request,
        opened: OpenedInput,
        selection: Selection,
        grid: Grid,
        recorded: dict[str, Any],
        *,
        output: OutputImage | None = None,
        shard: tuple[int, ...] | None = None,
        sources: Sequence[VolumeSource] = (),
        also: Sequence[Also] = (),
        others: Sequence[Input] = (),
        beside: str = "",
    ) -> None:
        self._also = also
        self._opened, self._selection, self._grid = opened, selection, grid
        self._levels = None
        source = selection.source
        if request.to.into_source:
            _labels_document(opened.image.location)
            self._levels = levels_like(opened.image, selection.level, source.shape)
        shard = shard or shard_of(source.shape, request.to.shard)[1]
        layout = grid.layout(source.volumes) | {"shard": list(shard)}
        if self._levels is not None:
            layout["levels"] = [list(shape) for shape in self._levels]
        if beside:
            layout["beside"] = beside
        self.request = request
        self._output = output or self.label_image("uint32")
        super().__init__(
            request,
            [
                Input("image", opened, selection.level.path, sources or selection.sources),
                *(one.source for one in also),
                *others,
            ],
            recorded | {"block": list(grid.block), "shard": list(shard)},
            layout,
        )
        self._objects: list[StoredObject] = []

    def _find_place(self) -> Place:
        output = self._output
        size = sum(prod(one.shape) * np.dtype(one.dtype).itemsize for one in self._outputs)
        place = find_place(self.request.to, self.request.site, self._opened, self._plan.hash, size, output.labels)
        assert place.location is not None
        self.location = place.location
        return place

    def _expected(self) -> dict[str, Any]:
        layouts = [one.layout(level) for one in self._outputs for level in range(one.n_levels)]
        shards = (prod(-(-n // s) for n, s in zip(one.shape, one.shards, strict=True)) for one in layouts)
        found = super()._expected()
        return found | {
            "blocks": self._blocks,
            "bytes_written": sum(prod(one.shape) * np.dtype(one.dtype).itemsize for one in layouts),
            "files": found["files"] + (0 if self._place.zipped else sum(shards) + len(layouts)),
        }

    @property
    def _outputs(self) -> list[OutputImage]:
        return [self._output, *(one.output for one in self._also)]

    @property
    def _blocks(self) -> int:
        return sum(one.grid.n_blocks * one.output.n_volumes for one in self._also) + (
            self._grid.n_blocks * self._output.n_volumes
        )

    def label_image(self, dtype: str) -> OutputImage:
        """Lay out labels of the selection; the dtype is known only when the objects are counted."""
        to = self.request.to
        return output_like(
            self._selection,
            "labels",
            dtype,
            labels=True,
            shard=to.shard,
            pyramid=to.pyramid,
            source_image="../../" if to.into_source else None,
            level_shapes=self._levels,
        )

    def write(self, volumes: LocalVolumes, output: OutputImage, resources: Resources) -> tuple[Mapping[str, Any], ...]:
        """Do what is to be done to every volume, and complete the store; gives what the kernel was told of each."""
        from chunkwise.ops.local import apply_locally

        with self.working(resources, volumes.n_groups * self._grid.n_units) as job:
            found = apply_locally(volumes, output, job)
            self.complete(output)
        return found

    def complete(self, output: OutputImage) -> None:
        """Write the metadata, and give the store its final name, if the input is what it was when the run began."""
        self.inputs.check()
        documents = [item for one in self._also for item in write_documents(self._run.store, one.output)]
        documents += write_documents(self._run.store, output)
        self._objects = documents + self._run.stored_objects()
        workspace, count = self._place.workspace, len(self._objects)
        with workspace.naming(self._run.store.address) if workspace else nullcontext():
            self._run.finish(self.location.address, count, self._place.zipped)
        if self.request.to.into_source:
            with _list_held(self._opened.image.location):
                _list_label(self._opened.image.location, self.request.to.into_source)

    def _write_overlay(self, output: OutputImage) -> None:
        """Write the picture of the selection with the outlines of its labels, where it is asked for."""
        path = self.request.to.files.get("overlay")
        if path:
            from chunkwise.report.overlay import write_overlay

            write_overlay(path, self._selection, in_archive(self.location), output)
            self.recorder.output("overlay", "picture", path)

    def _write_view(self, made: Image) -> list[str]:
        """Write the page of the selection with its labels, where it is asked for; gives what there is to say of it."""
        path = self.request.to.files.get("view")
        if not path:
            return []
        from chunkwise.report.page import Page
        from chunkwise.report.view.make import view_of_labels, write_view

        name = self._selection.image.name
        shown = view_of_labels(self._selection, made, "Objects")
        left_out = write_view(shown, path, Page(name, f"{name}: view", [], []))
        self.recorder.output("view", "page", path)
        return [f"  {path}", *(f"    {sentence}" for sentence in left_out)]

    def content(self, output: OutputImage) -> Content | None:
        """What the voxels that were written add up to, as far as the log says it."""
        return content_of(self._run, output)

    def written(self, output: OutputImage) -> str:
        """Say what was written, and where."""
        lengths = ", ".join(f"{axis.name} {n}" for axis, n in zip(output.axes, output.shape, strict=True))
        return f"{lengths} voxels of {output.dtype} in {self.location.address}"

    def finish(self, output: OutputImage, lines: Iterable[str]) -> Result:
        """Write record, reference and crate of a store that is complete.

        Parameters
        ----------
        output : OutputImage
            As it was written.
        lines : iterable of str
            What there is to say of it.
        """
        made = open_image(in_archive(self.location))
        manifest = Manifest.of(self._objects)
        mark = {"level": "full", "algorithm": ALGORITHM, "value": manifest.digest}
        voxels = self.content(output)
        described = describe(made) | ({} if voxels is None else {"content": voxels.facts()})
        self.recorder.output(
            "output", made.kind, self.location, fingerprint=mark, size=manifest.size, description=described
        )
        self._write_overlay(output)
        about = self._write_view(made)
        listed, name = manifest.to_bytes(), manifest_name(len(self._earlier) + 1)
        put_object(self._place.run_dir, FILE_NAME, listed)
        reference = self.close(
            made.kind,
            self._blocks,
            {"manifest": name, "manifest_sha256": hashlib.sha256(listed).hexdigest()},
            {name: listed} if len(listed) <= ATTACHED else {},
        )
        return Result(reference, (*lines, *about), self.location)


def _list_held(source: Location) -> AbstractContextManager[None]:
    """Hold the list of labels against another run that adds to it; a bucket knows no locks."""
    if source.is_url:
        return nullcontext()
    busy = ResumableError(
        f"Another run is adding its labels to {source.address} and does not finish; end it and run the same command "
        "again."
    )
    return held(f"{source.address}.labels.lock", busy, LISTING)


def _list_label(source: Location, name: str) -> None:
    """Add a label image to the list in ``labels/zarr.json``, keeping what others wrote there."""
    document, names = _labels_document(source)
    before = json_bytes(document)
    block = document["attributes"]["ome"]
    block.setdefault("version", "0.5")
    block["labels"] = names if name in names else [*names, name]
    if json_bytes(document) != before:
        put_object(source, "labels/zarr.json", json_bytes(document))


def _labels_document(source: Location) -> tuple[dict[str, Any], list[Any]]:
    """Read ``labels/zarr.json``, or make a new one; returns also the list that is in it, which may be anybody's.

    Raises
    ------
    InputError
        If something is there that is no such list, so that to add to it would spoil it.
    """
    content = read_key(source, "labels/zarr.json")
    try:
        document: Any = parse_json(content) if content else {"zarr_format": 3, "node_type": "group"}
        attributes = document.setdefault("attributes", {})
        # A list beside the block is how version 0.4 has it, and is found in Zarr v3, too.
        names = attributes.setdefault("ome", {}).get("labels", attributes.get("labels"))
        if names is None:
            names = list(open_image(source).labels)  # iohub lists them with the image
        whole = document.get("node_type") == "group" and isinstance(names, list)
    except (ValueError, RecursionError, AttributeError):
        whole = False
    if not whole:
        raise InputError(
            f"{source.address}/labels/zarr.json is damaged, so that nothing can be added to its list; use --output."
        )
    return document, names
