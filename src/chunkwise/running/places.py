"""Where a command's store goes, where it grows until it is whole, and what the site allows of it."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace

from chunkwise.blocks.run import Run
from chunkwise.cluster.resources import size_words
from chunkwise.errors import InputError, PolicyError, ResumableError
from chunkwise.reference import OpenedInput
from chunkwise.running.outputs import beside
from chunkwise.running.request import Destination
from chunkwise.site import Site
from chunkwise.storage.location import ZIP_NAMES, Location, resolve
from chunkwise.storage.lock import held
from chunkwise.storage.workspace import (
    GROWING,
    RUNS,
    Rights,
    check_name,
    folder_size,
    job_folder,
    make_folders,
    make_run_folder,
    reserve,
    run_size,
    user_folder,
)

__all__ = ["Place", "check_size", "find_place", "set_aside"]

#: Bytes of a label image before compression for one byte stored, as reckoned when a quota is asked; real ones
#: are 20 to 200.
LABELS_SHRINK = 10

#: Seconds that a run waits for another one to count what a person's results take.
COUNTING = 600.0


@dataclass(frozen=True)
class Place:
    """Where a result goes."""

    location: Location | None
    """The final place of a store, under the policy; None of a single file."""
    partial: str | Location
    """Where it grows: a folder on the same file system, or its own place on S3."""
    run_dir: str
    """Where plan, journal and scratch files go."""
    workspace: WorkspaceRun | None = None
    """What the workspace asks for, where it goes there."""
    zipped: bool = False
    """Whether the store becomes one zip file when it is whole."""


@dataclass(frozen=True)
class WorkspaceRun:
    """What is particular to a run that writes into the workspace."""

    root: str
    inner: str
    """Folders between the root and the store; may be empty."""
    folder: str
    """Of this run, below ``.runs``."""
    rights: Rights
    user: str | None
    quota: int | None
    needed: int
    """Bytes that the store will take, as reckoned before the work."""

    def used(self) -> int:
        """Bytes that the person's results and other unfinished runs take, or will take while they are at work."""
        own, runs = self.inner.split("/", 1)[0], os.path.dirname(self.folder)
        total = folder_size(os.path.join(self.root, own))
        with suppress(FileNotFoundError):
            total += sum(run_size(entry.path) for entry in os.scandir(runs) if entry.path != self.folder)
        return total

    def make(self) -> None:
        """Make the run's folder; see :func:`chunkwise.storage.workspace.make_run_folder`."""
        runs, key = os.path.split(self.folder)
        make_run_folder(self.root, os.path.basename(runs), key)

    def check_quota(self) -> None:
        """Refuse before the work what would not fit.

        Raises
        ------
        PolicyError
            With the numbers and what to do.
        """
        if self.quota is not None and self.used() + self.needed > self.quota:
            raise PolicyError(self._too_much(self.needed))

    @contextmanager
    def reserved(self) -> Iterator[None]:
        """Keep the room that the store will take, so that runs that begin at once do not count on the same.

        Raises
        ------
        PolicyError
            If there is no such room any more.
        """
        with self._counting():
            self.check_quota()
            reserve(self.folder, self.needed if self.quota is not None else None)
        try:
            yield
        finally:
            reserve(self.folder, None)

    @contextmanager
    def naming(self, store: str) -> Iterator[None]:
        """Hold a whole store to the quota while it is named; give it its rights, and make the folders it goes into.

        Raises
        ------
        ResumableError
            If it is larger than was foreseen, and does not fit.
        """
        with self._counting():
            if self.quota is not None:
                size = folder_size(store)
                if self.used() + size > self.quota:
                    raise ResumableError(
                        f"{self._too_much(size)} What was computed is kept: the same job, run again, goes on from "
                        "there."
                    )
            self.rights.give(store)
            if self.inner:
                make_folders(self.root, self.inner, self.rights)
            yield

    def _counting(self) -> AbstractContextManager[None]:
        """Let one run at a time count what a person's results take, and change it."""
        if self.quota is None:
            return nullcontext()
        busy = ResumableError(
            f"Another job of {self.user} is counting the space of their results and does not finish; end it, and run "
            "the same job again."
        )
        return held(os.path.join(os.path.dirname(self.folder), "quota.lock"), busy, COUNTING)

    def forget(self) -> None:
        """Remove the run's folder when nothing in it is needed any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def tidy(self) -> None:
        """Remove the run's folder where nothing is in it."""
        with suppress(OSError):
            os.rmdir(self.folder)

    def _too_much(self, needed: int) -> str:
        return (
            f"The results of {self.user} take {size_words(self.used())} of the {size_words(self.quota or 0)} that "
            f"this site allows each person, and this one needs {size_words(needed)}; remove results that you no "
            "longer need, or "
            "ask your administrator."
        )


def set_aside(place: Place, run: Run) -> tuple[Place, Run]:
    """Give the files of a run that is complete a name of their own, while its lock is still held.

    In the workspace a run is found by plan and name. Another job of the same two may begin as soon as the lock is free,
    and what is left to be reported and removed here must not be its files.

    Parameters
    ----------
    place : Place
        Of the store, which has its final name.
    run : Run
        That made it.

    Returns
    -------
    Place, Run
        The same, where their files are now; outside the workspace nothing is moved.
    """
    if place.workspace is None:
        return place, run
    aside = f"{place.workspace.folder}.{secrets.token_hex(6)}"
    os.rename(place.run_dir, aside)
    return replace(place, run_dir=aside, workspace=replace(place.workspace, folder=aside)), replace(run, folder=aside)


def check_size(site: Site | None, size: int) -> None:
    """Refuse a result that is larger than the site allows.

    Parameters
    ----------
    site : Site or None
        The administrator's file.
    size : int
        Bytes of the full resolution before compression.

    Raises
    ------
    PolicyError
        With the numbers and what to do.
    """
    most = site.limits.output if site is not None else None
    if most is not None and size > most:
        raise PolicyError(
            f"The result would have {size_words(size)} before compression, and this site allows {size_words(most)}; "
            "cut the image with --region, or choose a coarser --level."
        )


def find_place(to: Destination, site: Site | None, opened: OpenedInput, plan: str, size: int, labels: bool) -> Place:
    """Say where the store goes, under the policy.

    Parameters
    ----------
    to : Destination
        As asked for.
    site : Site or None
        The administrator's file.
    opened : OpenedInput
        The input.
    plan : str
        The plan's hash.
    size : int
        Bytes of the full resolution before compression.
    labels : bool
        Whether it is a label image, which compresses well.

    Raises
    ------
    InputError
        If the place cannot be used.
    PolicyError
        If the site does not allow it.
    """
    check_size(site, size)
    zipped = _is_zipped(to)
    if zipped and (to.into_source or to.to_workspace):
        raise InputError("A zip file can be written only with --output; give it a name there.")
    if to.into_source:
        return _into_source(to, to.into_source, site, opened)
    if to.to_workspace:
        return _to_workspace(to, to.to_workspace, site, opened, plan, size // LABELS_SHRINK if labels else size)
    location = resolve(to.output or "", site, write=True)
    if location.is_url:
        if zipped:
            raise InputError(
                f"{location.address} is a URL, and a zip file can be written only to a folder on this "
                "machine; give a path."
            )
        _check_outside(location, opened)
        return _on_s3(to, site, location)
    address = location.address
    folder = os.path.dirname(address)
    if not os.path.isdir(folder):
        raise InputError(f"The folder {folder} does not exist; make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"The folder {folder} cannot be written to; choose another place for --output.")
    _check_free(location, opened)
    run_dir = to.run_dir or beside(address, ".run", site)
    return Place(location, _growing(address, site), run_dir, zipped=zipped)


def _growing(address: str, site: Site | None) -> str:
    """Where a store grows on a file system; its lock lies beside it."""
    partial = beside(address, ".partial", site)
    beside(partial, ".lock", site)
    return partial


def _is_zipped(to: Destination) -> bool:
    """Whether a zip file is asked for, by the name of the output or of the format."""
    name = to.output or to.to_workspace or to.into_source or ""
    return to.format == "ozx" or (to.format is None and name.lower().endswith(ZIP_NAMES))


def _into_source(to: Destination, name: str, site: Site | None, opened: OpenedInput) -> Place:
    source = opened.image.location
    check_name("--into-source", name)
    if source.archive is not None:
        raise InputError(f"{source.archive} is a zip file, into which nothing can be written; use --output.")
    if source.foreign is not None:
        raise InputError(f"{source.foreign.path} is no OME-Zarr, so it has no place for labels; use --output.")
    if opened.image.version != "0.5":
        raise InputError(
            f"{source.address} is OME-Zarr {opened.image.version}, and labels are written as 0.5; use --output."
        )
    top = resolve(source.address, site, write=True)
    if top.is_url:
        return _on_s3(to, site, resolve(f"{top.address}/labels/{name}", site, write=True))
    if not os.access(top.address, os.W_OK):
        raise InputError(f"{top.address} cannot be written to; use --output for a separate store.")
    location = resolve(f"{top.address}/labels/{name}", site, write=True)
    if location.address != f"{top.address}/labels/{name}":
        raise PolicyError(f"The labels of {top.address} are a symbolic link; use --output for a separate store.")
    near = f"{top.address}.labels-{name}"
    return Place(location, _growing(near, site), to.run_dir or beside(near, ".run", site))


def _on_s3(to: Destination, site: Site | None, location: Location) -> Place:
    """Place a store among the objects of a bucket; the run's own files stay on a file system, and so does its lock."""
    run_dir = to.run_dir or beside(os.path.join(os.getcwd(), location.name), ".run", site)
    beside(run_dir, ".lock", site)
    return Place(location, location, run_dir)


def _to_workspace(to: Destination, name: str, site: Site | None, opened: OpenedInput, plan: str, needed: int) -> Place:
    check_name("--to-workspace", name)
    if site is None or site.workspace is None:
        raise InputError(
            "--to-workspace needs a site file that names a workspace; use --output, or ask your administrator for one."
        )
    if to.run_dir:
        raise InputError(
            "--run-dir cannot be given with --to-workspace, which keeps unfinished runs itself, so that another job "
            "can resume them."
        )
    workspace = site.workspace
    known = site.person.user is not None
    parts = [] if workspace.layout == "flat" else [user_folder(site.person)]
    if workspace.layout == "user/job":
        parts.append(job_folder(os.environ, plan))
    inner = "/".join(parts)
    location = resolve(f"{workspace.root}:{'/'.join([*parts, name])}", site, write=True)
    root = location.top or ""
    if location.address != os.path.join(root, inner, name):
        raise PolicyError(f"{location.address} is reached by a symbolic link; ask your administrator to remove it.")
    _check_free(location, opened)
    rights = Rights.of(workspace)
    # Jobs of one plan that make different results run side by side; a job that is run again keeps its name.
    key = hashlib.sha256(f"{plan} {name}".encode()).hexdigest()
    folder = os.path.join(root, RUNS, user_folder(site.person) if known else "all", key)
    run = WorkspaceRun(root, inner, folder, rights, site.person.user, workspace.quota, needed)
    run.check_quota()
    return Place(location, os.path.join(folder, GROWING), os.path.join(folder, "run"), run)


def _check_free(location: Location, opened: OpenedInput) -> None:
    if os.path.lexists(location.address):
        raise InputError(f"The output {location.address} exists; remove it or choose another name.")
    _check_outside(location, opened)


def _check_outside(location: Location, opened: OpenedInput) -> None:
    if location.address.startswith(f"{opened.image.location.address}/"):
        raise InputError(
            f"The output {location.address} would be inside the image that it is made from; choose a place outside."
        )
