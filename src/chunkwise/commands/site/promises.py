"""What a site file promises, tested one by one by doing it: for ``chunkwise site check``."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import ssl
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from chunkwise.errors import ChunkwiseError, InputError
from chunkwise.files import open_file
from chunkwise.site import Cluster, Root, Site, Workspace
from chunkwise.storage.location import Location, resolve
from chunkwise.storage.workspace import RUNS, Rights

__all__ = ["OK", "PROBLEM", "UNTESTED", "Finding", "check_site"]

OK, PROBLEM, UNTESTED = "ok", "problem", "not tested"


@dataclass(frozen=True)
class Finding:
    """What came of one promise."""

    state: str
    """``ok``, ``problem`` or ``not tested``."""
    what: str
    """The section, such as ``roots.images``."""
    says: str


def check_site(site: Site, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Test every promise of a site file with this account's rights, on this machine.

    Parameters
    ----------
    site : Site
        As ``load_site`` reads it.
    environment : mapping of str to str
        Of this process.
    """
    yield from _file(site)
    for root in site.roots.values():
        yield from _path_root(root) if root.path is not None else _url_root(root, site, environment)
    yield from _outputs(site)
    if site.workspace is not None:
        yield from _workspace(site, site.workspace)
    for cluster in site.clusters.values():
        yield from _cluster(cluster)
    yield from _library(site)
    yield from _people(site)


def _file(site: Site) -> Iterator[Finding]:
    mode = os.stat(site.file).st_mode
    if mode & stat.S_IWOTH:
        yield Finding(
            PROBLEM, "file", f"{site.file} can be written by everybody, so anybody can decide what may be read."
        )
    else:
        yield Finding(OK, "file", f"{site.file} is understood")


def _people(site: Site) -> Iterator[Finding]:
    by_person = any(root.users or root.groups or root.roles for root in site.roots.values())
    if by_person or (site.workspace is not None and site.workspace.layout != "flat"):
        yield Finding(
            UNTESTED, "people", "whether jobs get CHUNKWISE_USER, CHUNKWISE_GROUPS and CHUNKWISE_ROLES is up to Galaxy"
        )


# ---- roots


def _path_root(root: Root) -> Iterator[Finding]:
    what, path = f"roots.{root.name}", root.path or ""
    try:
        os.listdir(path)
    except OSError as error:
        yield Finding(PROBLEM, what, f"{path} cannot be read: {error.strerror}")
        return
    if not root.writable:
        yield Finding(OK, what, f"{path} can be read")
        return
    trial = os.path.join(path, f".chunkwise-check-{secrets.token_hex(4)}")
    try:
        with open(trial, "x"):
            pass
        os.unlink(trial)
    except OSError as error:
        yield Finding(PROBLEM, what, f"{path} cannot be written to: {error.strerror}")
        return
    yield Finding(OK, what, f"{path} can be read and written")


def _url_root(root: Root, site: Site, environment: Mapping[str, str]) -> Iterator[Finding]:
    from chunkwise.storage.kv import list_keys, read_key

    what, url = f"roots.{root.name}", root.url or ""
    yield from _credentials(root, environment)
    try:
        # As somebody to whom it is open would reach it.
        opened = {root.name: replace(root, users=(), groups=(), roles=())}
        location = resolve(f"{root.name}:.", replace(site, roots=opened))
        if location.s3 is None:
            read_key(location, "chunkwise-check")
        else:
            list_keys(location, "chunkwise-check")  # only listing tells of a bucket that is not there
        yield Finding(OK, what, f"{url} answers")
        if root.writable:
            yield _s3_writing(what, location)
    except ChunkwiseError as error:
        yield Finding(PROBLEM, what, str(error))


def _s3_writing(what: str, location: Location) -> Finding:
    from chunkwise.storage.kv import put_key, remove_keys

    key = f".chunkwise-check-{secrets.token_hex(4)}"
    put_key(location, key, b"")
    remove_keys(location, [key])
    return Finding(OK, what, f"{location.address} can be written")


def _credentials(root: Root, environment: Mapping[str, str]) -> Iterator[Finding]:
    what = f"roots.{root.name}"
    if root.credentials == "environment" and not environment.get("AWS_ACCESS_KEY_ID"):
        yield Finding(
            UNTESTED, what, "its keys come from the environment of jobs, and AWS_ACCESS_KEY_ID is not set here"
        )
    if root.credentials_file is not None:
        yield _private(what, root.credentials_file)


def _private(what: str, path: str) -> Finding:
    """Test that a file of secrets can be read, and by nobody else."""
    try:
        with open_file(path) as file:
            mode = os.fstat(file.fileno()).st_mode
    except InputError as error:
        return Finding(PROBLEM, what, str(error))
    except OSError as error:
        return Finding(PROBLEM, what, f"{path} cannot be read: {error.strerror}")
    if mode & 0o077:
        return Finding(PROBLEM, what, f"{path} holds a secret and can be read by others; run chmod 600 on it")
    return Finding(OK, what, f"{path} can be read by this account only")


# ---- outputs


def _outputs(site: Site) -> Iterator[Finding]:
    """Test that what commands write goes where the roots say, by asking for a place in each as a command does."""
    open_to_all = {name: replace(root, users=(), groups=(), roles=()) for name, root in site.roots.items()}
    asked = replace(site, roots=open_to_all)
    for root in site.roots.values():
        if root.path is None:
            continue
        what, place = f"roots.{root.name}", os.path.join(root.path, f".chunkwise-check-{secrets.token_hex(4)}")
        if not root.writable and _granted(place, asked, typed=True):
            yield Finding(PROBLEM, what, f"{root.path} can be written, since another root at the same place allows it")
        if root.job and _granted(place, asked, typed=False):
            yield Finding(PROBLEM, what, f"{root.path} can be named, since another root at the same place allows it")
    writable = sorted(root.name for root in site.roots.values() if root.writable and not root.job)
    jobs = sorted(root.name for root in site.roots.values() if root.job)
    if not writable and not jobs:
        yield Finding(UNTESTED, "outputs", "no root may be written to, so no command can write a file")
        return
    yield Finding(OK, "outputs", f"what commands write goes below {' or '.join([*writable, *jobs])}, and nowhere else")
    if not jobs:
        yield Finding(
            UNTESTED,
            "outputs",
            'no root has access = "job": Galaxy and Pulsar can use the tools only if their jobs\' folders are below '
            f"{' or '.join(writable)}",
        )


def _granted(place: str, site: Site, typed: bool) -> bool:
    try:
        resolve(place, site, write=True, typed=typed)
    except ChunkwiseError:
        return False
    return True


# ---- the workspace


def _workspace(site: Site, workspace: Workspace) -> Iterator[Finding]:
    root = site.roots[workspace.root].path or ""
    try:
        rights = Rights.of(workspace)
    except ChunkwiseError as error:
        yield Finding(PROBLEM, "workspace", str(error))
        return
    name = f"check-{secrets.token_hex(4)}"
    runs, trial, final = os.path.join(root, RUNS), os.path.join(root, RUNS, name), os.path.join(root, f".{name}")
    made = not os.path.exists(runs)
    try:
        os.makedirs(trial)
        with open(os.path.join(trial, "x"), "x"):
            pass
        rights.give(trial)
        os.rename(trial, final)
    except (OSError, ChunkwiseError) as error:
        yield Finding(PROBLEM, "workspace", f"results cannot be made in {root}: {getattr(error, 'strerror', error)}")
    else:
        yield Finding(OK, "workspace", f"results in {root} get their name, owner, group and permissions")
    finally:
        for folder in (trial, final):
            shutil.rmtree(folder, ignore_errors=True)
        if made:
            with suppress(OSError):
                os.rmdir(runs)
    if workspace.keep is not None:
        yield Finding(
            UNTESTED, "workspace", "'keep' does nothing by itself: run 'chunkwise workspace clean' from cron or a timer"
        )


# ---- clusters


def _cluster(cluster: Cluster) -> Iterator[Finding]:
    what = f"clusters.{cluster.name}"
    if cluster.kind == "local":
        yield Finding(OK, what, "processes of the job itself")
    elif cluster.kind == "address":
        yield from _address(what, cluster)
    else:
        yield from _slurm(what, cluster)
    if cluster.interface is not None:
        known = [name for _, name in socket.if_nameindex()]
        there = cluster.interface in known
        yield Finding(
            OK if there else PROBLEM,
            what,
            f"the interface {cluster.interface} is {'there' if there else 'not one of ' + ', '.join(known)}",
        )
    if cluster.folder is not None:
        folder_root = Root(cluster.name, cluster.folder, None, writable=True)
        yield from (replace(finding, what=what) for finding in _path_root(folder_root))
    if cluster.python is not None:
        yield _python(what, cluster.python)


def _slurm(what: str, cluster: Cluster) -> Iterator[Finding]:
    from chunkwise.cluster.batch import job_options

    needed = ["sbatch", "squeue", "scancel", "scontrol", *(["srun"] if cluster.kind == "allocation" else [])]
    missing = [command for command in needed if shutil.which(command) is None]
    if missing:
        yield Finding(PROBLEM, what, f"{', '.join(missing)} is not on the path")
        return
    if cluster.kind == "allocation":
        yield Finding(UNTESTED, what, "srun starts workers inside a job's allocation, and this process is not in one")
        return
    if cluster.partition is not None:
        answer = _answer_of(["sinfo", "--noheader", "--partition", cluster.partition, "--format", "%R"])
        if answer.code or not answer.out.strip():
            yield Finding(PROBLEM, what, f"sinfo knows no partition '{cluster.partition}'{answer.why}")
            return
    memory = cluster.memory_per_worker * cluster.workers_per_job
    answer = _answer_of(["sbatch", "--test-only", "--chdir=/", "--output=/dev/null", *job_options(cluster, memory)])
    if answer.code:
        yield Finding(PROBLEM, what, f"sbatch would not accept a worker{answer.why}")
    else:
        yield Finding(OK, what, "sbatch would accept a worker")


@dataclass(frozen=True)
class _Answer:
    code: int
    out: str
    why: str


def _answer_of(command: list[str]) -> _Answer:
    """Call a command with an empty script, and keep what it says."""
    try:
        done = subprocess.run(  # noqa: S603 - the words are the site file's, and no shell reads them
            command, input="#!/bin/sh\n", capture_output=True, text=True, errors="replace", timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return _Answer(1, "", f": {error}")
    words = " ".join(done.stderr.split())
    return _Answer(done.returncode, done.stdout, f": {words}" if words else "")


def _python(what: str, python: str) -> Finding:
    from chunkwise import __version__

    answer = _answer_of([python, "-c", "import chunkwise; print(chunkwise.__version__)"])
    if answer.code:
        return Finding(PROBLEM, what, f"{python} has no chunkwise{answer.why}")
    if answer.out.strip() != __version__:
        return Finding(PROBLEM, what, f"{python} has chunkwise {answer.out.strip()}, and this is {__version__}")
    return Finding(OK, what, f"{python} has chunkwise {__version__}")


def _address(what: str, cluster: Cluster) -> Iterator[Finding]:
    yield _private(what, cluster.tls_key or "")
    parts = urlsplit(cluster.address or "")
    try:
        context = ssl.create_default_context(cafile=cluster.tls_ca)
        context.check_hostname = False  # as Dask does: the authority is the cluster's own
        context.load_cert_chain(cluster.tls_cert or "", cluster.tls_key)
        with (
            socket.create_connection((parts.hostname or "", parts.port or 8786), timeout=10) as plain,
            context.wrap_socket(plain),
        ):
            yield Finding(OK, what, f"{cluster.address} answers with a certificate of the authority")
    except (OSError, ValueError) as error:
        yield Finding(PROBLEM, what, f"{cluster.address} cannot be reached over TLS: {error}")


# ---- models


def _library(site: Site) -> Iterator[Finding]:
    library = site.models.library
    if library is None:
        return
    try:
        names, mode = os.listdir(library), os.stat(library).st_mode
    except OSError as error:
        yield Finding(PROBLEM, "models", f"{library} cannot be read: {error.strerror}")
        return
    if mode & stat.S_IWOTH:
        yield Finding(PROBLEM, "models", f"{library} can be written by everybody, so anybody can approve models")
    else:
        yield Finding(OK, "models", f"{library} can be read; it holds {len(names)} entries")
