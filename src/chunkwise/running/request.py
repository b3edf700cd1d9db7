"""What somebody asks for, whichever way they ask: a shell, Galaxy or Python; and what they get."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from chunkwise.errors import InputError
from chunkwise.operations.model import Labels, Operation, Table

if TYPE_CHECKING:  # what a command asks for is put together before NumPy is imported
    from chunkwise.reference import OpenedInput, Reference
    from chunkwise.site import Site
    from chunkwise.storage.location import Location

__all__ = ["REPORTS", "WORDS", "Around", "Destination", "Done", "Request", "Result", "Spread"]

#: What every run can write of itself: what stands for the file, and what it is.
REPORTS: Final = {
    "reference": ("OUT.json", "write a reference to the result"),
    "crate": ("CRATE.zip", "write an RO-Crate that says what was done"),
    "record": ("RECORD.json", "write the run record"),
}

#: What else people may say of where a result goes and how the work is spread.
WORDS: Final = {
    "to_workspace": "write into the site's workspace under this name",
    "into_source": "write labels/NAME into the source itself, if the site allows writing to it",
    "run_dir": "where plan, journal and scratch files go; an unfinished run resumes from there (default: OUT.run; in "
    "the workspace always beside the results)",
    "shard": "voxels in one file of the result; changes its files, not its voxels (default: from shape and type)",
    "workers": "number of worker processes (default: by the size of the image, at most GALAXY_SLOTS, "
    "SLURM_CPUS_PER_TASK or the number of cores; small images are processed by threads in one process)",
    "memory": "memory of each worker, such as 2GiB (default: GALAXY_MEMORY_MB shared among them, otherwise 1GiB)",
    "block": "voxels computed at once (default: whole shards, or what fits in memory)",
    "preview": "only write a picture of what the result looks like in a small region; takes seconds, whatever the "
    "image's size",
    "preview_region": "of --preview: where to look, in voxels of the level, ends not included (for 2-D images: "
    "y0:y1,x0:x1; default: the central 512 x 512 voxels)",
    "plan": "only say what the run would take: blocks, bytes, files, memory and CPU-hours",
}


@dataclass(frozen=True)
class Destination:
    """Where a result goes, and what is written beside it; places are held to the site's policy already."""

    output: str | None = None
    """Path or URL of a store, or path of a file."""
    to_workspace: str | None = None
    """Name in the site's workspace, instead."""
    into_source: str | None = None
    """Name below ``labels/`` of the image that is read, instead."""
    format: str | None = None
    """Of the result, where its name does not say it."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Reports and pictures by the names of their options: ``record``, ``reference``, ``crate``, ``overlay``, ..."""
    run_dir: str | None = None
    shard: tuple[int, ...] | None = None
    """Of a store, spatial axes only."""
    pyramid: bool = True


@dataclass(frozen=True)
class Spread:
    """How the work is spread; none of it changes the result."""

    workers: int | None = None
    memory: int | None = None
    """Bytes that each worker may take."""
    block: tuple[int, ...] | None = None
    """Voxels computed at once."""


@dataclass(frozen=True)
class Request:
    """One operation on some inputs."""

    operation: Operation
    inputs: Mapping[str, str | OpenedInput]
    """By role: paths, URLs and references as they were typed, or what is open already."""
    values: Mapping[str, Any]
    """Of every parameter, defaults included."""
    to: Destination
    spread: Spread = Spread()
    site: Site | None = None
    plan: bool = False
    """Whether to say what it would take, instead of doing it: see :class:`chunkwise.running.planned.Planned`."""
    here: bool = False
    """Whether it is so little that this process does it, whatever cluster the site has."""

    def open(self, role: str) -> OpenedInput:
        """Open the image that has a role.

        Raises
        ------
        InputError
            If it cannot be read, or something is to be written into it.
        PolicyError
            If the site does not allow it.
        """
        from chunkwise.reference import open_image_input

        given = self.inputs[role]
        if not isinstance(given, str):
            self.keep_outside(given.image.location)
            return given
        opened = open_image_input(given, self.site)
        self.keep_outside(opened.image.location)
        if opened.location.foreign is not None:
            for finding in opened.image.findings:
                print(f"chunkwise {self.operation.family}: remark: {finding.message}", file=sys.stderr)
        return opened

    def keep_outside(self, source: Location) -> None:
        """Refuse to write into a store that is read: it would not be the one that the record describes.

        Raises
        ------
        InputError
            With the place.
        """
        if source.is_url or source.foreign is not None:
            return
        for path in (self.to.output, self.to.run_dir, *self.to.files.values()):
            if path and "://" not in path and os.path.realpath(path).startswith(f"{source.address}/"):
                raise InputError(
                    f"The output {path} would be inside {source.address}, which is only read; choose a place outside."
                )

    def recorded(self, **others: Any) -> dict[str, Any]:
        """The parameters as typed JSON values, for the run record; ``others`` are added, or stand in their place."""
        made: dict[str, Any] = {}
        if not isinstance(self.operation.gives, Table):
            made["shard"] = self.to.shard
            if not getattr(self.operation.gives, "formats", None):
                made["no_pyramid"] = not self.to.pyramid
        if isinstance(self.operation.gives, Labels):
            made["into_source"] = self.to.into_source
        if self.operation.origin:
            made["plugin"] = self.operation.origin
        values = {name: value for name, value in self.values.items() if (name, value) != ("sizes_in", "voxels")}
        found = {**values, **made, **vars(self.spread), **others}
        return {name: list(v) if isinstance(v, tuple) else v for name, v in sorted(found.items())}


@dataclass(frozen=True)
class Around:
    """What has to be read around a part of an image, so that the part comes out as it does of the whole image."""

    voxels: tuple[int, ...]
    """On each side, along each axis."""
    step: tuple[int, ...] = ()
    """The part that is read begins at a multiple of it; without one, anywhere."""
    words: tuple[str, ...] = ()
    """What differs from the whole image all the same."""


@dataclass(frozen=True)
class Result:
    """What came of a request."""

    reference: Reference
    """With the records of all runs that led to it, the last of which is of this one."""
    lines: tuple[str, ...]
    """What there is to say of it, to people."""
    location: Location | None = None
    """Of a store."""


class Done(Exception):
    """Comes out of a run whose result is there already, when the reports that were lacking are written.

    Parameters
    ----------
    result : Result
        As the run gives it.
    """

    def __init__(self, result: Result) -> None:
        super().__init__()
        self.result = result
