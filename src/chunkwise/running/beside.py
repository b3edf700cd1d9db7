"""What hangs on an image that is written anew: laid out before the run, written and compared in it, told after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Job
from chunkwise.cluster.resources import Resources
from chunkwise.ngff.attributes import attributes_of
from chunkwise.ngff.beside import LARGEST, Beside
from chunkwise.ngff.layout import OutputImage, output_like
from chunkwise.ngff.model import Image
from chunkwise.ngff.volumes import EVERY, select
from chunkwise.ops.check_copy import check_copy
from chunkwise.ops.copy_files import check_files, copy_files
from chunkwise.ops.local import LocalVolumes, apply_locally
from chunkwise.provenance.record import Recorder
from chunkwise.reference import OpenedInput
from chunkwise.running.copying import copied
from chunkwise.running.fitting import fit_blocks
from chunkwise.running.inputs import Input
from chunkwise.running.request import Request
from chunkwise.running.stores import Also
from chunkwise.storage.writer import json_bytes

__all__ = ["Carried", "gather", "left_of", "tell_left"]

#: Sentences about what stays behind, in the record and on the screen.
RECORDED, TOLD = 1000, 10


@dataclass
class Carried:
    """What hangs on an image, and how it is written."""

    image: Image | None = None
    """None where nothing is taken along."""
    attributes: dict[str, Any] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)
    also: list[Also] = field(default_factory=list)
    volumes: list[LocalVolumes] = field(default_factory=list)
    files: tuple[str, ...] = ()
    state: str = ""
    left: list[str] = field(default_factory=list)
    """Sentences about what stays behind."""

    @property
    def blocks(self) -> int:
        """Units that the label images have."""
        return sum(one.output.n_volumes * one.grid.n_units for one in self.also)

    def write(self, job: Job) -> None:
        """Write it into the run's store."""
        for number, (one, volumes) in enumerate(zip(self.also, self.volumes, strict=True), start=1):
            apply_locally(volumes, one.output, job, name=f"copy-labels-{number}", of=f"-labels-{number}")
        if self.image is not None and self.files:
            self.left += copy_files(self.image.location, self.files, job)

    def check(self, job: Job) -> int:
        """Compare it with what it was made from; gives the number of voxels."""
        for number, (one, volumes) in enumerate(zip(self.also, self.volumes, strict=True), start=1):
            check_copy(volumes, one.output, job, f"check-labels-{number}")
        if self.image is not None and self.files:
            check_files(self.image.location, len(self.files), job)
        return sum(volumes.voxels for volumes in self.volumes)

    def tell(self, recorder: Recorder) -> list[str]:
        """Note it in the record; gives what there is to say of it."""
        lines = []
        labels = [one.output.prefix.removeprefix("labels/").rstrip("/") for one in self.also]
        if labels or self.files:
            recorder.result("carried", {"labels": labels, "files": len(self.files)})
            named = f"labels {', '.join(labels)}" if labels else ""
            files = f"{len(self.files)} other files" if self.files else ""
            lines.append(f"  with {' and '.join(filter(None, (named, files)))}")
        return lines + tell_left(recorder, self.left)


def tell_left(recorder: Recorder, left: Sequence[str]) -> list[str]:
    """Note what stays behind in the record; gives what there is to say of it."""
    if not left:
        return []
    recorder.result("left_behind", list(left[:RECORDED]))
    more = [f"{len(left) - TOLD} more, which the record names"] if len(left) > TOLD else []
    return [f"  left behind: {' '.join(sentence.split())}" for sentence in [*left[:TOLD], *more]]


def left_of(image: Image) -> Carried:
    """Say what stays behind where only a part of an image is written."""
    beside = Beside.of(image, ())
    if not beside.labels and not beside.files:
        return Carried()
    sentence = f"Only a part was asked for, so labels ({len(beside.labels)}), files beside the image "
    return Carried(left=[f"{sentence}({len(beside.files)}) and attributes that are not known here are not taken."])


def gather(
    request: Request, image: Image, output: OutputImage, resources: Resources, projected: Callable[[str], Any]
) -> tuple[Carried, Resources]:
    """Find what hangs on an image, and lay out how it is written.

    Parameters
    ----------
    request : Request
        What was asked for.
    image : Image
        All of which is written anew.
    output : OutputImage
        As it is written.
    resources : Resources
        For the image alone.
    projected : callable
        Of a type of voxels: what a worker needs, as a function of the grid.

    Returns
    -------
    Carried, Resources
        The resources for all.

    Raises
    ------
    InputError
        If it cannot be read, or does not fit into a worker's memory.
    """
    beside = Beside.of(image, ("zarr.json", *map(str, range(output.n_levels))))
    found = Carried(image, files=beside.files, state=beside.state)
    found.attributes = attributes_of(image, found.left)
    found.left += beside.left
    shapes = tuple(output.volume_shape(level) for level in range(output.n_levels))
    needed = resources.needed
    if beside.files:
        needed = max(needed, projected("uint8")(Grid((1,), (1,), (1,))) + 2 * LARGEST)
    for number, (name, labels) in enumerate(beside.labels.items(), start=1):
        selection = select(labels, 0, EVERY)
        selection = replace(selection, source=selection.source.as_numbers)
        source, same = selection.source, len(selection.source.shape) == len(shapes[0])
        asked = (
            request
            if same
            else replace(request, to=replace(request.to, shard=None), spread=replace(request.spread, block=None))
        )
        grid, more = fit_blocks(asked, selection, projected(source.dtype))
        needed = max(needed, more.needed)
        carried = attributes_of(labels, found.left)
        origin = carried["ome"]["image-label"].get("source", {}).get("image", "../../")
        laid = output_like(
            selection,
            labels.name or name,
            source.dtype,
            labels=True,
            shard=asked.to.shard,
            pyramid=asked.to.pyramid,
            source_image=origin,
            level_shapes=shapes if source.shape == shapes[0] else None,
            prefix=f"labels/{name}/",
            carried=carried,
        )
        opened = OpenedInput(labels.location, labels)
        read = Input(f"labels-{number}", opened, selection.level.path, selection.sources)
        found.also.append(Also(read, grid, laid))
        found.volumes.append(copied(selection, grid))
    if beside.labels:
        found.documents["labels/zarr.json"] = json_bytes(beside.labels_document(image))
    return found, replace(resources, needed=needed)
