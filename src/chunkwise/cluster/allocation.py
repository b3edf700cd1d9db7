"""Dask workers inside the allocation that this process runs in, for sites where jobs may not submit jobs.

The batch job holds several nodes. The driver, which is its batch script, starts a scheduler and one step of as many
workers as the job has tasks. Nothing is submitted, and all of it ends with the job. A worker that dies is started
again on its node; a node that is lost is not replaced.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from chunkwise.cluster.array_files import last_words
from chunkwise.cluster.executor import CONFIGURATION, DaskExecutor, held_back
from chunkwise.cluster.memory import ENVIRONMENT
from chunkwise.cluster.resources import Resources
from chunkwise.cluster.slurm import scheduler_options
from chunkwise.cluster.tls import cluster_folder, worker_keys
from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster

__all__ = ["open_allocation", "tasks_of_job"]

#: Seconds that workers have to find the scheduler, beyond the time after which they give up by themselves.
SLACK = 30.0

#: What a job was submitted with, and srun would take as options of the step.
OF_JOB = ("SLURM_CPU_BIND", "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_NTASKS_PER_NODE", "SLURM_TASKS_PER_NODE")

#: What every task of the step runs; all that differs from run to run lies in the environment.
SCRIPT = """{setup}
exec "$CHUNKWISE_PYTHON" -P -m chunkwise.cluster.worker "$CHUNKWISE_SCHEDULER" --name "worker-$SLURM_PROCID" \
 --bytes "$CHUNKWISE_BYTES" --death-timeout "$CHUNKWISE_DEATH_TIMEOUT" {interface}
"""


def tasks_of_job(cluster: Cluster, environment: Mapping[str, str]) -> int:
    """How many workers the job of this process has room for: as many as it has tasks.

    Raises
    ------
    ResumableError
        If this process runs in no job.
    """
    if not environment.get("SLURM_JOB_ID"):
        raise ResumableError(
            f"The cluster '{cluster.name}' starts workers inside the batch job that chunkwise runs in, and this "
            "process is not in one; run the same command in a job, such as one submitted with sbatch --nodes=2 "
            "--ntasks-per-node=4."
        )
    known = (environment.get(name, "") for name in ("SLURM_NTASKS", "SLURM_JOB_NUM_NODES"))
    return next((int(text) for text in known if text.isdecimal() and int(text) > 0), 1)


@contextmanager
def open_allocation(cluster: Cluster, resources: Resources, tasks: int, folder: str) -> Iterator[DaskExecutor]:
    """Start a scheduler here and workers as a step of this job; end them at the end.

    Parameters
    ----------
    cluster : Cluster
        The profile of the site.
    resources : Resources
        Number of workers at most, and memory of each.
    tasks : int
        Number of blocks; there are no more workers than these.
    folder : str
        The run directory, on a file system that all nodes see.

    Raises
    ------
    ResumableError
        If this process runs in no job, or its workers do not come.
    """
    import dask
    from dask.distributed import Client, SpecCluster

    from chunkwise.cluster.processes import QuietScheduler

    workers = max(1, min(resources.workers, tasks, tasks_of_job(cluster, os.environ)))
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with dask.config.set(CONFIGURATION), ExitStack() as stack:
        private = stack.enter_context(cluster_folder(cluster, folder))
        security = stack.enter_context(worker_keys(private))
        options = {"protocol": "tls://", "security": security, **scheduler_options(cluster)}
        with held_back():
            made = stack.enter_context(
                SpecCluster(
                    scheduler={"cls": QuietScheduler, "options": options},
                    security=security,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(made))
            step = stack.enter_context(_step(cluster, resources, workers, made.scheduler_address, private))
        crew = _Step(cluster, made, step, workers, os.path.join(private, LOG))
        yield DaskExecutor(client, workers, crew)
        client.retire_workers(close_workers=True)


#: Of the step, in the private folder.
LOG = "workers.log"


@contextmanager
def _step(
    cluster: Cluster, resources: Resources, workers: int, address: str, private: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the workers with srun; it is ended, and with it all of them."""
    script = SCRIPT.format(
        setup="\n".join(cluster.setup), interface=f"--interface {cluster.interface}" if cluster.interface else ""
    )
    command = [
        "srun",
        f"--ntasks={workers}",
        f"--cpus-per-task={os.environ.get('SLURM_CPUS_PER_TASK', '1')}",
        # The driver, which is a step of this job itself, keeps the processors that it has.
        "--overlap",
        "--cpu-bind=none",
        "--mpi=none",
        # A worker that ends shall not take the others with it, nor shall a node that is lost.
        "--kill-on-bad-exit=0",
        "--no-kill",
        "--input=none",
        "--export=ALL",
        "/bin/sh",
        "-c",
        script,
    ]
    variables = {
        "CHUNKWISE_PYTHON": cluster.python or sys.executable,
        "CHUNKWISE_SCHEDULER": address,
        "CHUNKWISE_BYTES": str(resources.memory_per_worker),
        "CHUNKWISE_DEATH_TIMEOUT": str(cluster.driver_lost_after),
    }
    inherited = {key: value for key, value in os.environ.items() if key not in OF_JOB}
    with open(os.path.join(private, LOG), "wb") as log:
        try:
            process = subprocess.Popen(  # noqa: S603 -- no text of a user is in it
                command,
                cwd=private,
                env=inherited | ENVIRONMENT | variables,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the driver, which ends the step in order
            )
        except OSError as error:
            raise ResumableError(
                f"srun cannot be called ({error.strerror}), and the cluster '{cluster.name}' needs it; ask your "
                "administrator."
            ) from None
    try:
        yield process
    finally:
        try:
            process.wait(5)  # workers that were sent away are going
        except subprocess.TimeoutExpired:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


class _Step:
    """The workers of the step, as far as the driver has to look after them."""

    def __init__(self, cluster: Cluster, made: Any, process: subprocess.Popen[bytes], workers: int, log: str) -> None:
        self.jobs = [os.environ["SLURM_JOB_ID"]]
        self._cluster, self._made, self._process = cluster, made, process
        self._workers, self._log = workers, log
        self._alone: float | None = time.monotonic()

    def look(self) -> None:
        """Tell when there is no worker, and none will come."""
        if self._connected():
            self._alone = None
            return
        self._alone = self._alone or time.monotonic()
        ended = self._process.poll() is not None
        waited = time.monotonic() - self._alone
        if ended or waited > self._cluster.driver_lost_after + SLACK:
            what = "ended" if ended else f"did not reach this process within {waited:.0f} s"
            words = last_words([self._log])
            raise ResumableError(
                f"The workers that srun started in this job {what}{words}; fix the cause, or ask your administrator, "
                "and run the same command again."
            )

    def note(self) -> str:
        """Tell how many workers there are, where some are missing."""
        connected = self._connected()
        return "" if connected >= self._workers else f"{connected} of {self._workers} workers"

    def _connected(self) -> int:
        return len(self._made.scheduler.workers)
