"""Workers as batch jobs of Slurm: dask-jobqueue writes the script, the site's profile fills it, TLS joins them.

Nothing that a user or a file name says gets into a script or a command line: it holds values of the profile, numbers,
and names made here. The folder of keys and logs is told to the job by its environment.
"""

from __future__ import annotations

import logging
import secrets
import shlex
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from math import ceil
from typing import Any

from chunkwise.cluster.batch import submit
from chunkwise.cluster.crew import Crew, cancel_all
from chunkwise.cluster.executor import CONFIGURATION, DaskExecutor, held_back
from chunkwise.cluster.memory import ENVIRONMENT
from chunkwise.cluster.resources import Resources
from chunkwise.cluster.tls import cluster_folder, worker_keys
from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster

__all__ = ["NANNY", "open_slurm", "scheduler_options"]

#: Bytes of a job beside those of its workers: for the process that starts them and watches over them.
NANNY = 2**29

#: Environment variable that tells a job where keys and logs lie.
FOLDER = "CHUNKWISE_WORKER_FOLDER"


def scheduler_options(cluster: Cluster) -> dict[str, Any]:
    """Where the scheduler listens, by the profile.

    Raises
    ------
    ResumableError
        If this machine does not have the interface.
    """
    from distributed.utils import get_ip_interface

    options: dict[str, Any] = {"dashboard": False, "port": cluster.scheduler_port}
    if cluster.interface:
        try:
            get_ip_interface(cluster.interface)
        except ValueError:
            raise ResumableError(
                f"The cluster '{cluster.name}' of the site file names the network interface '{cluster.interface}', "
                "which this machine does not have; ask your administrator."
            ) from None
        options["interface"] = cluster.interface
    return options


@contextmanager
def open_slurm(cluster: Cluster, resources: Resources, tasks: int, folder: str) -> Iterator[DaskExecutor]:
    """Start a scheduler here and workers as batch jobs; cancel all of them at the end.

    Parameters
    ----------
    cluster : Cluster
        The profile.
    resources : Resources
        Number of workers, and memory of each.
    tasks : int
        Number of blocks; there are no more workers than these.
    folder : str
        The run directory.

    Raises
    ------
    ResumableError
        If the scheduler cannot listen, or no worker comes.
    """
    import dask
    from dask.distributed import Client

    before = signal.getsignal(signal.SIGINT)
    from chunkwise.cluster.jobqueue import WorkerCluster

    # To import dask-jobqueue (0.9) makes Ctrl-C end the process with code 0, without a word.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, before)
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    workers = max(1, min(resources.workers, tasks))
    jobs = ceil(workers / cluster.workers_per_job)
    name = f"chunkwise-{secrets.token_hex(4)}"
    configuration = CONFIGURATION | {
        "distributed.scheduler.worker-ttl": f"{cluster.worker_lost_after} s",
        "jobqueue.slurm": _DEFAULTS,
    }
    with dask.config.set(configuration), ExitStack() as stack:
        private = stack.enter_context(cluster_folder(cluster, folder))
        stack.callback(cancel_all, name)
        security = stack.enter_context(worker_keys(private))
        with held_back():
            made = stack.enter_context(_listening(WorkerCluster, cluster, resources, name, security, private))
            client = stack.enter_context(Client(made))
        crew = Crew(cluster, _Office(made), jobs, name, made.scheduler_address, private)
        try:
            yield DaskExecutor(client, workers, crew)
        except BaseException:
            crew.end(in_order=False)
            raise
        else:
            client.retire_workers(close_workers=True)
            crew.end(in_order=True)


_ASKED_FOR = (
    *("account", "cores", "death-timeout", "env-extra", "extra", "header-skip", "interface", "job-cpu", "job-extra"),
    *("job-extra-directives", "job-mem", "job-script-prologue", "local-directory", "log-directory", "memory", "name"),
    *("processes", "project", "python", "queue", "shared-temp-directory", "walltime", "worker-extra-args"),
)

#: What dask-jobqueue would take from a person's own configuration: all of it is said here, or in the profile.
_DEFAULTS: dict[str, Any] = {
    **dict.fromkeys(_ASKED_FOR),
    "shebang": "#!/usr/bin/env bash",
    "worker-command": "chunkwise.cluster.worker",
    "scheduler-options": {},
    "job-directives-skip": [],
}


@contextmanager
def _listening(
    kind: type, cluster: Cluster, resources: Resources, name: str, security: Any, private: str
) -> Iterator[Any]:
    from chunkwise.cluster.processes import QuietScheduler

    per_job = cluster.workers_per_job
    memory = per_job * resources.memory_per_worker
    worker = {
        "--workers": str(per_job),
        "--bytes": str(resources.memory_per_worker),
        "--walltime": f"{cluster.walltime:.0f}",
        "--began": "$(date +%s)",
    }
    options = {"qos": cluster.qos, "constraint": cluster.constraint, "gres": cluster.gres}
    try:
        made = kind(
            name=name,
            job_name=name,
            security=security,
            protocol="tls://",
            scheduler_cls=QuietScheduler,
            scheduler_options=scheduler_options(cluster),
            silence_logs=logging.CRITICAL,
            interface=cluster.interface,
            submit=lambda script: submit(cluster, script, [], {FOLDER: private}),
            queue=cluster.partition,
            account=cluster.account,
            cores=per_job,
            processes=per_job,
            memory=str(memory),
            job_mem=f"{ceil((memory + NANNY) / 2**20)}M",
            walltime=str(ceil(cluster.walltime / 60)),
            death_timeout=cluster.driver_lost_after,
            job_extra_directives=[
                *(f"--{option}={value}" for option, value in options.items() if value),
                *cluster.sbatch,
            ],
            job_script_prologue=[
                f'cd "${FOLDER}" && exec > "$SLURM_JOB_ID.log" 2>&1 || exit 1',
                *cluster.setup,
                *(f"export {key}={value}" for key, value in ENVIRONMENT.items()),
            ],
            python=f"{shlex.quote(cluster.python or sys.executable)} -P",
            worker_extra_args=[word for pair in worker.items() for word in pair],
        )
    except RuntimeError as error:
        port = f" at port {cluster.scheduler_port}" if cluster.scheduler_port else ""
        raise ResumableError(
            f"The scheduler of the cluster '{cluster.name}' cannot listen{port} ({' '.join(str(error).split())}); ask "
            "your administrator for another scheduler_port in the site file, or wait until the other run has ended."
        ) from None
    try:
        yield made
    finally:
        made.close(timeout=10)


class _Office:
    """What the crew asks of Dask's cluster, which lives in another thread."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster

    def connected(self) -> set[str]:
        return set(self._cluster.sync(self._cluster.connected))

    def submit(self, count: int) -> dict[str, str]:
        return dict(self._cluster.sync(self._cluster.grow, count))

    def forget(self, names: Iterable[str]) -> None:
        self._cluster.sync(self._cluster.forget, list(names))
