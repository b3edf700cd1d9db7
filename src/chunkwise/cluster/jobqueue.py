"""dask-jobqueue's cluster for Slurm, with the parts replaced that a long run cannot rely on.

dask-jobqueue submits, and replaces only what it has once seen connected; here ``cluster.crew`` decides on every job,
by what Slurm says of it. Names of workers are never used twice, so that a worker that was given up, and goes on, is
never taken for its successor.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from dask_jobqueue.slurm import SLURMCluster, SLURMJob
from distributed.core import Status
from distributed.deploy.cluster import Cluster

from chunkwise.errors import ResumableError

__all__ = ["WorkerCluster", "WorkerJob"]


class WorkerJob(SLURMJob):
    """A batch job; submitted by ``submit(script) -> id``, and cancelled by the crew."""

    def __init__(self, *arguments: Any, submit: Callable[[str], str], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._submit = submit

    async def start(self) -> None:
        """Submit the job."""
        try:
            self.job_id = await asyncio.to_thread(self._submit, self.job_script())
        except BaseException:
            self.status = Status.failed
            raise
        self.status = Status.running

    async def close(self) -> None:
        """Nothing: all jobs are cancelled together."""
        self.status = Status.closed


class WorkerCluster(SLURMCluster):
    """A scheduler in this process, and jobs."""

    job_cls: Any = WorkerJob

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._numbers = itertools.count()
        super().__init__(*arguments, **options)

    def _new_worker_name(self, worker_number: int) -> str:
        return f"{self._name}-{next(self._numbers)}"

    def _get_worker_security(self, security: Any) -> None:
        """Give no paths of keys to the script: the job starts where they lie."""

    def _update_worker_status(self, op: str, msg: Any) -> None:
        """Only note it; what is to be done about a lost worker is the crew's to say."""
        Cluster._update_worker_status(self, op, msg)

    async def connected(self) -> list[str]:
        """Names of the workers that are connected."""
        return [state.name for state in self.scheduler.workers.values()] if self.scheduler else []

    async def grow(self, count: int) -> dict[str, str]:
        """Submit jobs; their ids by the name of their worker, those left out that were refused.

        Raises
        ------
        ResumableError
            If all were refused.
        """
        names: list[str] = []
        for _ in range(count):
            entry = self.new_worker_spec()
            names += entry
            self.worker_spec.update(entry)
        try:
            await self._correct_state()
        except ResumableError:
            refused = [name for name in names if name not in self.workers or not self.workers[name].job_id]
            await self.forget(refused)
            if refused == names:
                raise
        return {name: self.workers[name].job_id for name in names if name in self.workers}

    async def forget(self, names: Iterable[str]) -> None:
        """Forget jobs that are no more."""
        for name in names:
            self.worker_spec.pop(name, None)
            job = self.workers.pop(name, None)
            if job is not None:
                await job.close()
