"""Every key of the site file, said once: the reader, the JSON schema and the page of documentation are made from it.

A section is a table of the TOML file. ``roots`` and ``clusters`` are named sections: ``[roots.images]``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from chunkwise.files import DOCUMENT

__all__ = ["MODEL", "NAMED", "PLAIN", "Key"]


#: Bytes of a model package at most, where the site does not say otherwise.
MODEL: Final = 16 * 2**30


@dataclass(frozen=True)
class Key:
    """One key: what it may hold, what it is where it is left out, and what it means."""

    kind: str
    """``text``, ``word`` (what may stand in a batch script), ``path`` (links in it are resolved), ``program`` (a path
    as it is: the Python of an environment is a link, and means the environment), ``bytes``, ``duration``, ``count``
    (0 or more), ``number``, ``flag``, ``texts``, ``words``, ``mask``, or ``choice``."""
    meaning: str
    default: Any = None
    choices: tuple[str, ...] = ()


_ROOT: Final = {
    "path": Key("path", "a folder: an absolute path; symbolic links in it are resolved when the file is read"),
    "url": Key("text", "instead of a path: a prefix that begins with `https://`, `http://` or `s3://`"),
    "access": Key(
        "choice",
        "what may be done; writing includes reading; only a path and s3 can be written. `job`: folders in which a "
        "service such as Galaxy or Pulsar runs its jobs, which jobs may write to and nobody may name",
        "read",
        ("read", "write", "job"),
    ),
    "users": Key("texts", "e-mail addresses of those who may use it; `*@example.org` means all of that domain", ()),
    "groups": Key("texts", "groups whose members may use it", ()),
    "roles": Key("texts", "roles that may use it; if users, groups and roles are all left out, everybody may", ()),
    "named_by_users": Key(
        "flag",
        "whether a place below it may be named by a person or in a file (`ROOT:path`, a path, a reference, metadata); "
        "with false only Galaxy itself passes such places on, as it does for its own datasets",
        True,
    ),
    "endpoint": Key("text", "s3: address of the server, if it is not Amazon's"),
    "region": Key("word", "s3: the region", "us-east-1"),
    "credentials": Key(
        "choice",
        "s3: where the keys come from: none, the job's environment (`AWS_ACCESS_KEY_ID`, ...), or a file",
        "anonymous",
        ("anonymous", "environment", "file"),
    ),
    "credentials_file": Key("path", "s3: a file in the form of `~/.aws/credentials`, readable by its owner only"),
    "credentials_profile": Key("word", "s3: the section of that file", "default"),
}

_CLUSTER: Final = {
    "kind": Key(
        "choice",
        "local: processes of the job itself; slurm: a Dask worker is a batch job; allocation: srun starts workers "
        "inside the job's own allocation; array: job arrays without a Dask scheduler; address: a scheduler that is "
        "already running",
        "local",
        ("local", "slurm", "allocation", "array", "address"),
    ),
    "workers_min": Key("count", "the fewest workers, whatever the size of the plan", 1),
    "workers_max": Key("count", "the most workers", 16),
    "voxels_per_worker": Key(
        "number", "voxels of the image per worker: for every so many, one more worker is requested", 1e9
    ),
    "memory_per_worker": Key("bytes", "memory of a worker, unless a person asks for less with --memory", 2 * 2**30),
    "workers_per_job": Key("count", "worker processes in one batch job", 1),
    "partition": Key("word", "Slurm partition"),
    "account": Key("word", "Slurm account"),
    "qos": Key("word", "Slurm quality of service"),
    "constraint": Key("word", "Slurm constraint on nodes"),
    "gres": Key("word", "Slurm generic resources of a worker, such as `gpu:1`"),
    "walltime": Key("duration", "how long a worker's job may take; longer runs get new workers before that", "4h"),
    "sbatch": Key("words", "further options of sbatch, such as `--exclusive`", ()),
    "setup": Key("texts", "lines of shell that a worker's job runs first, such as `module load chunkwise`", ()),
    "python": Key("program", "Python of the workers, if it is not the driver's own"),
    "interface": Key("word", "network interface over which scheduler and workers meet, such as `ib0`"),
    "scheduler_port": Key("count", "port of the scheduler; 0 for any free one", 0),
    "folder": Key("path", "for logs and keys of workers; seen by all nodes; default: in the run directory"),
    "queue_patience": Key("duration", "how long the first worker may wait in the queue before the run gives up", "24h"),
    "driver_lost_after": Key("duration", "how long workers keep running after the driver is gone", "60s"),
    "worker_lost_after": Key("duration", "how long to wait for a silent worker before it is replaced", "15s"),
    "address": Key("text", "address: of the scheduler, such as `tls://head:8786`"),
    "tls_ca": Key("path", "address: certificate of the authority"),
    "tls_cert": Key("path", "address: certificate of the client"),
    "tls_key": Key("path", "address: key of the client"),
}

#: Sections with a name each: ``[roots.NAME]``.
NAMED: Final[dict[str, dict[str, Key]]] = {"roots": _ROOT, "clusters": _CLUSTER}

#: Sections that are there once.
PLAIN: Final[dict[str, dict[str, Key]]] = {
    "workspace": {
        "root": Key("text", 'the root that `--to-workspace` writes into; with a path and `access = "write"`'),
        "layout": Key(
            "choice",
            "folders below it: none, or one for every user, or within that one for every job",
            "flat",
            ("flat", "user", "user/job"),
        ),
        "owner": Key("word", "account that results belong to; chunkwise has to run as root to give files away"),
        "group": Key("word", "group that results belong to"),
        "umask": Key("mask", "permissions that results do not get, such as `0027`"),
        "quota": Key("bytes", "bytes that all results of one user may take"),
        "keep": Key("duration", "age after which `chunkwise workspace clean` removes what no reference needs"),
    },
    "cluster": {
        "default": Key(
            "text",
            "the profile of `[clusters]` that runs use if the job's environment names none in `CHUNKWISE_CLUSTER`",
        ),
        "gpu": Key("text", "the profile for tools that run models"),
    },
    "limits": {
        "workers": Key("count", "the most workers of one run, in every cluster and whatever --workers says"),
        "memory_per_worker": Key("bytes", "the most memory of one worker, whatever --memory says"),
        "output": Key("bytes", "the largest result, in bytes before compression"),
        "document": Key("bytes", "the largest document that is read: metadata, a reference, a run record", DOCUMENT),
        "model": Key("bytes", "the largest model package: all its files, unpacked", MODEL),
    },
    "models": {
        "library": Key("path", "folder of approved bioimage.io packages"),
        "code": Key("flag", "whether packages that contain Python code may be used", False),
    },
    "plugins": {
        "operations": Key(
            "texts",
            "operations of other packages that may be run, each as `NAME==VERSION sha256=DIGEST`: distribution, "
            "version, and digest of the file of the module that declares it; a refusal prints the whole entry",
            (),
        )
    },
}
