"""Dask workers on this machine: spawned, with TLS on loopback too, and no other open port.

Any account of a shared node could connect to a plain TCP scheduler on 127.0.0.1 and run code as
its owner; so the scheduler only talks to holders of a certificate that lives in memory.

A worker that dies is started again by its nanny, but not always: where several die one after the other, now and then a
nanny gives up (seen with distributed 2026.8). A run whose last worker is gone would wait for ever, so the driver looks
after them, too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from chunkwise.cluster.executor import CONFIGURATION, DaskExecutor, held_back
from chunkwise.cluster.inline import InlineExecutor, ThreadsExecutor
from chunkwise.cluster.memory import steady_memory
from chunkwise.cluster.resources import Resources
from chunkwise.errors import ResumableError

__all__ = ["LocalCrew", "open_local"]

#: Seconds without a process after which a worker counts as lost: its nanny would have started another one.
LOST = 3.0
#: Seconds that a process may take to be connected.
START = 120.0
#: Workers in a row that may be lost while none is connected.
FAILED_STARTS = 5


@contextmanager
def open_local(resources: Resources, tasks: int) -> Iterator[InlineExecutor | DaskExecutor]:
    """Start workers, as many as there is work for; stop them at the end.

    Parameters
    ----------
    resources : Resources
        Number of workers, and memory of each; of one worker, its threads.
    tasks : int
        Number of blocks; where one worker is enough, this process is the worker.
    """
    workers = min(resources.workers, tasks)
    if workers <= 1:
        steady_memory()
        threads = min(resources.threads, tasks)
        yield ThreadsExecutor(threads) if threads > 1 else InlineExecutor()
        return
    import dask
    from dask.distributed import Client, Nanny, SpecCluster
    from distributed.security import Security

    from chunkwise.cluster.processes import QuietScheduler, QuietWorker

    logging.getLogger("distributed").setLevel(logging.ERROR)
    security = Security.temporary()
    common = {"host": "127.0.0.1", "protocol": "tls://", "security": security}
    worker = {
        "cls": Nanny,
        "options": {
            **common,
            "worker_class": QuietWorker,
            "nthreads": 1,
            "memory_limit": resources.memory_per_worker,
            "silence_logs": logging.CRITICAL,
        },
    }
    # A worker that takes long to start again is not given up by the cluster, but looked after below.
    own = CONFIGURATION | {"distributed.deploy.lost-worker-timeout": "1 day"}
    with dask.config.set(own), ExitStack() as stack:
        with held_back():
            cluster, client = started_twice(
                stack,
                lambda: SpecCluster(
                    scheduler={"cls": QuietScheduler, "options": {**common, "dashboard": False}},
                    workers=dict.fromkeys(range(workers), worker),
                    security=security,
                    silence_logs=logging.CRITICAL,
                ),
                Client,
            )
        yield DaskExecutor(client, workers, LocalCrew(cluster))


def started_twice(stack: ExitStack, cluster: Callable[[], Any], client: Callable[[Any], Any]) -> tuple[Any, Any]:
    """Start workers and their client; once more, where that fails as it does on a very busy machine.

    There a start of ``distributed`` may be cancelled, which its ``sync`` answers with an UnboundLocalError.

    Raises
    ------
    ResumableError
        If it fails again.
    """
    for last in (False, True):
        with ExitStack() as begun:
            try:
                workers = begun.enter_context(cluster())
                asked = begun.enter_context(client(workers))
            except UnboundLocalError as error:
                if last:
                    raise ResumableError(
                        "The workers did not start, as happens on a very busy machine; run the same command again."
                    ) from error
                continue
            stack.enter_context(begun.pop_all())
            return workers, asked
    raise AssertionError("not reached")


class LocalCrew:
    """Starts workers anew where their nannies do not.

    Parameters
    ----------
    cluster : distributed.SpecCluster
        Of nannies; its ``worker_spec`` says which there should be.
    now : callable
        A clock, in seconds.
    """

    def __init__(self, cluster: Any, now: Callable[[], float] = time.monotonic) -> None:
        self.jobs: list[str] = []
        self._cluster, self._now = cluster, now
        self._missing: dict[Any, float] = {}
        """Since when a worker is not connected, by name."""
        self._lost = 0

    def look(self) -> None:
        """Replace workers that are gone and do not come back.

        Raises
        ------
        ResumableError
            If workers end again and again as they start.
        """
        now = self._now()
        connected = {worker.name for worker in list(self._cluster.scheduler.workers.values())}
        if connected:
            self._lost = 0
        for name in self._cluster.worker_spec:
            if name in connected:
                self._missing.pop(name, None)
                continue
            since = self._missing.setdefault(name, now)
            if now - since > (START if self._may_come(name) else LOST):
                self._missing[name] = now
                self._lost += 1
                self._cluster.loop.add_callback(self._replace, name)
        if self._lost > FAILED_STARTS and not connected:
            raise ResumableError(
                f"{self._lost} workers ended as they started, usually for lack of memory: give a larger --memory, or "
                "fewer --workers, and run the same command again to resume."
            )

    def note(self) -> str:
        """Tell how many workers there are, where some are missing."""
        wanted, there = len(self._cluster.worker_spec), len(self._cluster.scheduler.workers)
        return "" if there >= wanted else f"{there} of {wanted} workers"

    def _may_come(self, name: Any) -> bool:
        nanny = self._cluster.workers.get(name)
        if nanny is None:
            return True  # it is being replaced: until the new one has started, the cluster does not know it
        return nanny.process is not None and nanny.process.is_alive()

    async def _replace(self, name: Any) -> None:
        nanny = self._cluster.workers.pop(name, None)
        if nanny is not None:
            with suppress(Exception):  # it is in no good state, which is why it is replaced
                await nanny.close(timeout=1, reason="lost")
        self._cluster.scale(len(self._cluster.worker_spec))
