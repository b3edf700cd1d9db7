"""What the administrator wrote, as values; ``site.keys`` says what each means, with the same names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from chunkwise.errors import PolicyError
from chunkwise.files import DOCUMENT
from chunkwise.site.keys import MODEL

__all__ = ["Cluster", "Limits", "Models", "Person", "Root", "S3Access", "Site", "Workspace"]


@dataclass(frozen=True)
class Person:
    """For whom a job runs, as the job's environment says; Galaxy's administrator sees to it that it says so.

    It is no proof: whoever sets the environment of a process decides. In Galaxy that is the administrator, in a
    person's own shell the rights of that person's account hold as ever.
    """

    user: str | None = None
    """E-mail address, in small letters."""
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Person:
        """Read ``CHUNKWISE_USER``, ``CHUNKWISE_GROUPS`` and ``CHUNKWISE_ROLES`` (names separated by commas)."""

        def names(variable: str) -> frozenset[str]:
            return frozenset(name.strip() for name in environment.get(variable, "").split(",") if name.strip())

        user = environment.get("CHUNKWISE_USER", "").strip().lower()
        return cls(user or None, names("CHUNKWISE_GROUPS"), names("CHUNKWISE_ROLES"))


@dataclass(frozen=True)
class S3Access:
    """How the objects below a root are reached: the place of the keys, never the keys themselves."""

    endpoint: str | None
    region: str
    credentials: str
    file: str | None
    profile: str


@dataclass(frozen=True)
class Root:
    """A named place that may be read or written.

    Exactly one of ``path`` (absolute, symbolic links resolved) and ``url`` (no trailing slash) is set.
    """

    name: str
    path: str | None
    url: str | None
    writable: bool
    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    named_by_users: bool = True
    job: bool = False
    """Whether it is the folders of a service's jobs: written by jobs, named by nobody."""
    endpoint: str | None = None
    region: str = "us-east-1"
    credentials: str = "anonymous"
    credentials_file: str | None = None
    credentials_profile: str = "default"

    @property
    def s3(self) -> S3Access | None:
        """How its objects are reached; None where it is no s3 address."""
        if self.url is None or not self.url.startswith("s3://"):
            return None
        return S3Access(self.endpoint, self.region, self.credentials, self.credentials_file, self.credentials_profile)

    def open_to(self, person: Person) -> bool:
        """Whether a person may use it; a root that names nobody is open to everybody."""
        if not (self.users or self.groups or self.roles):
            return True
        return (
            (person.user is not None and any(fnmatchcase(person.user, user.lower()) for user in self.users))
            or bool(person.groups & set(self.groups))
            or bool(person.roles & set(self.roles))
        )


@dataclass(frozen=True)
class Workspace:
    """Where results go that nobody gave a place."""

    root: str
    layout: str = "flat"
    owner: str | None = None
    group: str | None = None
    umask: int | None = None
    quota: int | None = None
    keep: float | None = None
    """Seconds."""


@dataclass(frozen=True)
class Cluster:
    """One profile of ``[clusters]``; times in seconds."""

    name: str
    kind: str = "local"
    workers_min: int = 1
    workers_max: int = 16
    voxels_per_worker: float = 1e9
    memory_per_worker: int = 2 * 2**30
    workers_per_job: int = 1
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    gres: str | None = None
    walltime: float = 4 * 3600
    sbatch: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    python: str | None = None
    interface: str | None = None
    scheduler_port: int = 0
    folder: str | None = None
    queue_patience: float = 24 * 3600
    driver_lost_after: float = 60
    worker_lost_after: float = 15
    address: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None


@dataclass(frozen=True)
class Limits:
    """What no run may exceed; None where there is no limit; sizes in bytes."""

    workers: int | None = None
    memory_per_worker: int | None = None
    output: int | None = None
    document: int = DOCUMENT
    model: int = MODEL


@dataclass(frozen=True)
class Models:
    """Which models are trusted."""

    library: str | None = None
    code: bool = False


@dataclass(frozen=True)
class Site:
    """What the administrator wrote, and for whom this process runs."""

    file: Path
    roots: dict[str, Root] = field(default_factory=dict)
    workspace: Workspace | None = None
    clusters: dict[str, Cluster] = field(default_factory=dict)
    default_cluster: str | None = None
    gpu_cluster: str | None = None
    limits: Limits = Limits()
    models: Models = Models()
    plugins: tuple[str, ...] = ()
    """Operations of other packages that may be run."""
    person: Person = Person()

    def names_root(self, name: str) -> bool:
        """Whether this person may speak of a root by its name."""
        return name in self.roots and self.roots[name].named_by_users and self.roots[name].open_to(self.person)

    def cluster(self, gpu: bool = False, environment: Mapping[str, str] | None = None) -> Cluster:
        """Choose the cluster of a run: as the job's environment says, else the default, else this machine.

        Raises
        ------
        PolicyError
            If ``CHUNKWISE_CLUSTER`` names none of the site's.
        """
        named = (os.environ if environment is None else environment).get("CHUNKWISE_CLUSTER")
        if named and named not in self.clusters:
            known = ", ".join(sorted(self.clusters)) or "none"
            raise PolicyError(
                f"The job's environment names the cluster '{named}', and the site file {self.file} has {known}; ask "
                "your administrator to correct CHUNKWISE_CLUSTER."
            )
        name = named or (self.gpu_cluster if gpu else None) or self.default_cluster
        return self.clusters[name] if name else Cluster("local")
