"""What every command that makes a store does around its operation: places, record, reference, crate."""

from __future__ import annotations

import argparse
import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from math import prod
from typing import Any

import numpy as np

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.passes import Workers
from chunkwise.blocks.run import Plan, Run
from chunkwise.cluster.resources import Resources, size_words
from chunkwise.commands.inputs import ChangedError, Input, Inputs
from chunkwise.commands.places import find_place, set_aside
from chunkwise.errors import InputError, PolicyError, ResumableError
from chunkwise.ngff.layout import OutputImage, levels_like, write_documents
from chunkwise.ngff.read import open_image
from chunkwise.ngff.volumes import Selection, VolumeSource
from chunkwise.provenance.closing import recording
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput, describe, make_reference
from chunkwise.site import Site
from chunkwise.storage.fingerprint import ALGORITHM
from chunkwise.storage.json_text import parse_json
from chunkwise.storage.kv import read_key
from chunkwise.storage.location import Location, in_archive
from chunkwise.storage.lock import held
from chunkwise.storage.manifest import ATTACHED, FILE_NAME, Manifest, manifest_name
from chunkwise.storage.outputs import check_output_file, write_atomically
from chunkwise.storage.writer import StoredObject, json_bytes, put_object

__all__ = ["StoreWriter", "check_block", "check_chunks", "check_small_outputs", "decoding_memory"]

#: Seconds that a run waits in the workspace for another one of the same input, parameters and name.
PATIENCE = 3600.0

#: Seconds that it waits for another one to write a few lines.
LISTING = 60.0


def check_small_outputs(args: argparse.Namespace, *names: str) -> None:
    """Refuse output files that cannot be written, or would take each other's place, before hours of work."""
    taken: dict[str, str] = {}
    for name in ("output", "run_dir", *names):
        path = getattr(args, name, None)
        if not path:
            continue
        if name in names:
            check_output_file(path)
        other = taken.setdefault(os.path.realpath(path), name)
        if other != name:
            both = " and ".join(f"--{one.replace('_', '-')}" for one in (other, name))
            raise InputError(f"{both} both name {path}; give each a name of its own.")


def check_block(block: tuple[int, ...] | None, axes: str) -> None:
    """Refuse a ``--block`` that has not one size for each spatial axis."""
    if block is not None and len(block) != len(axes):
        raise InputError(f"--block needs {len(axes)} sizes, one for each of the axes {axes}.")


def check_chunks(selection: Selection, resources: Resources) -> None:
    """Refuse an image whose chunks alone, which are decoded whole, would fill a worker.

    Raises
    ------
    InputError
        With the numbers and what to do.
    """
    level = selection.level
    size = _chunk_bytes(selection)
    if 2 * size > resources.memory_per_worker:
        raise InputError(
            f"{selection.image.location.address} is stored in chunks of {'x'.join(map(str, level.chunks))} voxels, "
            f"each {size_words(size)}, and a worker may take {size_words(resources.memory_per_worker)}; give "
            f"--memory of {-(-2 * size // 2**20)}MiB or more, or write the image again in smaller chunks."
        )


def decoding_memory(selection: Selection) -> int:
    """Bytes that a block takes while a chunk is decoded, which may be larger than the block itself."""
    return 2 * _chunk_bytes(selection)


def _chunk_bytes(selection: Selection) -> int:
    return prod(selection.level.chunks) * np.dtype(selection.level.dtype).itemsize


class StoreWriter:
    """Places the store that a command makes, and says afterwards what was done.

    Parameters
    ----------
    command : str
        Name of the command.
    args : argparse.Namespace
        With the options of ``commands.options.add_store_output``.
    opened : OpenedInput
        The input.
    selection : Selection
        What of it is read.
    parameters : dict
        Of the run record; together with the grid they make the plan.
    grid : Grid
        Of the blocks.
    default_name : str
        The multiscale's name.
    size : int
        Bytes of the full resolution before compression.
    labels : bool
        Whether it is a label image.
    sources : sequence of VolumeSource, optional
        What is read where that is more than the selection, which is of one channel.
    """

    def __init__(
        self,
        command: str,
        args: argparse.Namespace,
        site: Site | None,
        opened: OpenedInput,
        selection: Selection,
        parameters: dict[str, Any],
        grid: Grid,
        default_name: str,
        size: int,
        labels: bool,
        sources: Sequence[VolumeSource] = (),
    ) -> None:
        self.name = default_name
        self._args, self._opened, self._selection, self._grid = args, opened, selection, grid
        source = selection.source
        self._levels = None
        if args.into_source:
            _labels_document(opened.image.location)
            self._levels = levels_like(opened.image, selection.level, source.shape)
        self.recorder = Recorder(command, parameters)
        self._inputs = Inputs(self.recorder, [Input("image", opened, selection.level.path, sources or (source,))])
        spread = {"workers", "memory", "block", "shard"}
        self._plan = Plan(
            operation=command,
            inputs=self._inputs.plan["image"],
            parameters={key: value for key, value in parameters.items() if key not in spread},
            layout={
                "shape": list(source.shape),
                "volumes": source.volumes,
                "unit": list(grid.unit),
                "block": list(grid.block),
                "shard": parameters["shard"],
            }
            | ({} if self._levels is None else {"levels": [list(shape) for shape in self._levels]}),
        )
        self._place = find_place(args, site, opened, self._plan.hash, size, labels)
        self.location = self._place.location
        self._table_name = f"blocks-{len(opened.records) + 1}.tsv.gz"
        self._objects: list[StoredObject] = []

    def label_image(self, dtype: str) -> OutputImage:
        """Lay out labels of the selection; the dtype is known only when the objects are counted."""
        args, selection = self._args, self._selection
        return OutputImage(
            name=self.name,
            axes=self._opened.image.axes,
            shape=selection.cut_shape,
            dtype=dtype,
            scale=selection.level.scale,
            translation=selection.translation,
            labels=True,
            pyramid=not args.no_pyramid,
            source_image="../../" if args.into_source else None,
            level_shapes=self._levels,
            shard=args.shard,
            placed=self._opened.image.placed,
        )

    @contextmanager
    def writing(self, workers: Workers) -> Iterator[Run]:
        """Begin the run, or go on with it; what would fail again leaves nothing behind but its record.

        Parameters
        ----------
        workers : Workers
            Takes in what the workers use; a run that fails tells of it, too.
        """
        workspace, output = self._place.workspace, self.location.address
        self._run = Run.at(self._plan, self._place.run_dir, self._place.partial)
        try:
            with self._run.locked(output, PATIENCE if workspace else 0), self._room():
                self._run.begin(self._plan, output)
                try:
                    with (
                        self._inputs.held(self._run, remove=workspace is not None),
                        recording(
                            self._run,
                            self.recorder,
                            self._told_plan(),
                            workers,
                            table=self._table_name,
                            output=output,
                        ) as self._attempts,
                    ):
                        yield self._run
                except ChangedError:
                    raise
                except (InputError, PolicyError):
                    self._run.abandon()
                    raise
                self._place, self._run = set_aside(self._place, self._run)
        finally:
            if workspace:
                workspace.tidy()

    def _room(self) -> AbstractContextManager[None]:
        """Keep the room that the store will take, where a person's is limited."""
        workspace = self._place.workspace
        return workspace.reserved() if workspace else nullcontext()

    def _told_plan(self) -> dict[str, Any]:
        """What the record says of the plan."""
        layout = self._plan.layout
        return {"hash": self._plan.hash} | {key: layout[key] for key in ("shape", "block", "unit", "shard")}

    def complete(self, output: OutputImage) -> None:
        """Write the metadata, and give the store its final name, if the input is what it was when the run began."""
        self._inputs.check()
        documents = write_documents(self._run.store, output)
        self._objects = documents + self._run.stored_objects()
        if self._place.workspace:
            with self._place.workspace.naming(self._run.store.address):
                self._run.finish(self.location.address, len(self._objects))
        else:
            self._run.finish(self.location.address, len(self._objects), self._place.zipped)
        if self._args.into_source:
            with _list_held(self._opened.image.location):
                _list_label(self._opened.image.location, self._args.into_source)

    def overlay(self, output: OutputImage) -> None:
        """Write the picture of the selection with the outlines of its labels, where it is asked for."""
        if self._args.overlay:
            from chunkwise.report.overlay import write_overlay

            write_overlay(self._args.overlay, self._selection, in_archive(self.location), output)
            self.recorder.output("overlay", "picture", self._args.overlay)

    def report(self, output: OutputImage, workers: Workers) -> None:
        """Write record, reference and crate."""
        args, made = self._args, open_image(in_archive(self.location))
        manifest = Manifest.of(self._objects)
        mark = {"level": "full", "algorithm": ALGORITHM, "value": manifest.digest}
        self.recorder.output(
            "output",
            made.kind,
            self.location,
            fingerprint=mark,
            size=manifest.size,
            description=describe(made),
        )
        listed, listed_name = manifest.to_bytes(), manifest_name(len(self._opened.records) + 1)
        put_object(self._place.run_dir, FILE_NAME, listed)
        table, sums = self._run.table()
        table_name = self._table_name
        record = self.recorder.finish(
            plan=self._told_plan() | {"blocks": self._grid.n_blocks * output.n_volumes},
            blocks=sums
            | self._attempts.sums()
            | {"table": table_name, "sha256": hashlib.sha256(table).hexdigest()}
            | {"manifest": listed_name, "manifest_sha256": hashlib.sha256(listed).hexdigest()},
            workers=workers.rows(),
            cluster=workers.cluster,
            attempts=self._attempts.last,
        )
        content = record.to_dict()
        self._run.close(content)
        if args.record:
            write_atomically(args.record, json_bytes(content))
        records = (*self._opened.records, content)
        if args.reference:
            reference = make_reference(made, mark, records)
            write_atomically(args.reference, reference.to_json().encode())
        if args.crate:
            from chunkwise.provenance.crate import build_crate
            from chunkwise.provenance.record import RunRecord

            build_crate(
                [RunRecord.from_dict(entry) for entry in records],
                args.crate,
                attachments={table_name: table} | ({listed_name: listed} if len(listed) <= ATTACHED else {}),
            )
        if self._place.workspace:
            self._place.workspace.forget()  # reference, record and crate say all that the run's folder said


def _list_held(source: Location) -> AbstractContextManager[None]:
    """Hold the list of labels against another run that adds to it; a bucket knows no locks."""
    if source.is_url:
        return nullcontext()
    busy = ResumableError(
        f"Another run is adding its labels to {source.address} and does not end; end it and run the same command again."
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
