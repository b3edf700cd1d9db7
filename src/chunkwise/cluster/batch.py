"""The batch system's own commands, for jobs that need no scheduler beside it: submit, look, cancel.

Nothing that a user or a file name says is ever part of a command line or of a script: that travels in
environment variables, which Slurm carries as they are, and in files.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil

from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster

__all__ = ["Job", "array_limit", "cancel", "end_of_job", "find_jobs", "job_options", "submit"]

#: Seconds before each try to submit, where the controller is busy, or away as when it is restarted.
TRIES = (0, 2, 5, 15, 30, 60)

#: What to do where it does not help.
ADVICE = "ask your administrator to look at the cluster '{name}' of the site file, and run the same command again."


@dataclass(frozen=True)
class Job:
    """A job in the queue, or one element of an array."""

    id: str
    """Of the job, or of the whole array."""
    state: str
    reason: str


def job_options(cluster: Cluster, memory: int) -> list[str]:
    """Options of sbatch that the site file gives.

    Parameters
    ----------
    cluster : Cluster
        The profile.
    memory : int
        Bytes for the job.
    """
    named = {
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "gres": cluster.gres,
    }
    return [
        *(f"--{option}={value}" for option, value in named.items() if value),
        f"--mem={ceil(memory / 2**20)}M",
        f"--time={ceil(cluster.walltime / 60)}",
        *cluster.sbatch,
    ]


def submit(cluster: Cluster, script: str, options: Sequence[str], variables: Mapping[str, str]) -> str:
    """Submit a job.

    Parameters
    ----------
    cluster : Cluster
        For the sentence, where it is refused.
    script : str
        Of the shell.
    options : sequence of str
        Of sbatch.
    variables : mapping of str to str
        Added to the job's environment, which is this process' own.

    Returns
    -------
    str
        The job's id.

    Raises
    ------
    ResumableError
        If the batch system does not take it.
    """
    # What stands last counts: the options may say otherwise about all but the last of these.
    command = ["sbatch", "--export=ALL", "--no-requeue", "--chdir=/", "--output=/dev/null", *options, "--parsable"]
    errors = ""
    for pause in TRIES:
        time.sleep(pause)
        code, out, errors = _call(command, script, _without_own_job() | dict(variables))
        if code == 0 and out.strip():
            return out.strip().split(";")[0]
        if not any(word in errors for word in ("timed out", "Unable to contact", "temporarily")):
            break
    raise ResumableError(f"The batch system did not accept a job ({errors}); {ADVICE.format(name=cluster.name)}")


def find_jobs(name: str) -> list[Job] | None:
    """Jobs of this account with a name, elements of arrays one by one; None where the batch system does not answer."""
    code, out, _ = _call(["squeue", "-h", "-r", "-u", str(os.getuid()), "-n", name, "-o", "%F|%T|%r"])
    if code:
        return None
    return [Job(*line.split("|", 2)) for line in out.splitlines() if line.count("|") >= 2]


def end_of_job(job: str) -> float | None:
    """When a job reaches its time limit, in seconds since the epoch; None where that is not known."""
    code, out, _ = _call(["squeue", "-h", "-j", job, "-o", "%e"])
    try:
        return time.mktime(time.strptime(out.strip(), "%Y-%m-%dT%H:%M:%S")) if code == 0 else None
    except ValueError:
        return None


def cancel(jobs: Sequence[str], waiting_only: bool = False) -> None:
    """Cancel jobs; those that have ended are left alone, and no answer is no error: it is done at the end of a run."""
    if jobs:
        _call(["scancel", *(["--state=PENDING"] if waiting_only else []), *jobs])


def array_limit() -> int:
    """How many elements an array may have."""
    _, out, _ = _call(["scontrol", "show", "config"])
    for line in out.splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "MaxArraySize" and value.strip().isdecimal():
            return max(1, int(value) - 1)
    return 1000


def _without_own_job() -> dict[str, str]:
    """The environment, without what Slurm says of the job that this process runs in: sbatch would heed it."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SLURM_") or key == "SLURM_CONF"}


def _call(
    command: Sequence[str], given: str = "", environment: Mapping[str, str] | None = None
) -> tuple[int, str, str]:
    """Call a command of the batch system; its code, what it printed, and what it complained of, on one line."""
    try:
        done = subprocess.run(  # noqa: S603 -- no text of a user is in it
            command, input=given, env=environment, capture_output=True, text=True, errors="replace", timeout=120
        )
    except subprocess.TimeoutExpired:
        return 1, "", f"{command[0]} timed out"
    except OSError as error:
        return 1, "", f"{command[0]} cannot be called: {error.strerror}"
    return done.returncode, done.stdout, " ".join(done.stderr.split()) or f"{command[0]} ended with {done.returncode}"
