"""Dask workers on this machine: spawned, with TLS on loopback too, and no other open port.

Any account of a shared node could connect to a plain TCP scheduler on 127.0.0.1 and run code as
its owner; so the scheduler only talks to holders of a certificate that lives in memory.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from typing import Any

from chunkwise.blocks.passes import Lost
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.cluster.memory import ENVIRONMENT, steady_memory
from chunkwise.cluster.resources import Resources

__all__ = ["open_executor"]

#: Calls in flight for each worker: one at work, and the next ones at hand.
IN_FLIGHT = 3


class DaskExecutor:
    """Hands calls to Dask workers, few at a time."""

    def __init__(self, client: Any, workers: int) -> None:
        self._client, self.workers = client, workers

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call ``function(*call)`` for each call; results in the order in which they are ready.

        A call that workers die on again and again gives :class:`Lost`.
        """
        from dask.distributed import as_completed
        from distributed.scheduler import KilledWorker

        source = iter(calls)
        flying = as_completed()
        sent: dict[Any, tuple[Any, ...]] = {}
        for _ in range(self.workers * IN_FLIGHT):
            if not self._send(flying, function, source, sent):
                break
        for future in flying:
            call = sent.pop(future.key)
            try:
                result = future.result()
            except KilledWorker:
                result = Lost(call)
            self._send(flying, function, source, sent)
            yield result

    def _send(
        self,
        flying: Any,
        function: Callable[..., Any],
        source: Iterator[tuple[Any, ...]],
        sent: dict[Any, tuple[Any, ...]],
    ) -> bool:
        call = next(source, None)
        if call is None:
            return False
        future = self._client.submit(function, *call, pure=False)
        sent[future.key] = call
        flying.add(future)
        return True


@contextmanager
def open_executor(resources: Resources, tasks: int) -> Iterator[InlineExecutor | DaskExecutor]:
    """Start workers, as many as there is work for; stop them at the end.

    Parameters
    ----------
    resources : Resources
        Number of workers, and memory of each.
    tasks : int
        Number of blocks; where one worker is enough, this process is the worker.
    """
    workers = min(resources.workers, tasks)
    if workers <= 1:
        steady_memory()
        yield InlineExecutor()
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
    with (
        dask.config.set(
            {
                "distributed.worker.multiprocessing-method": "spawn",
                # Blocks are sized to fit; Dask shall neither spill nor pause, only end a worker that is over.
                "distributed.worker.memory.target": False,
                "distributed.worker.memory.spill": False,
                "distributed.worker.memory.pause": False,
                "distributed.worker.memory.terminate": 0.98,
                "distributed.admin.log-format": "%(message)s",
                "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
            }
        ),
        ExitStack() as stack,
    ):
        with _held_back():
            cluster = stack.enter_context(
                SpecCluster(
                    scheduler={"cls": QuietScheduler, "options": {**common, "dashboard": False}},
                    workers=dict.fromkeys(range(workers), worker),
                    security=security,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(Client(cluster))
        yield DaskExecutor(client, workers)


@contextmanager
def _held_back() -> Iterator[None]:
    """Let no interruption in while workers start: it comes when they are there, and can be stopped in order.

    Threads and processes that start meanwhile keep the mask: Ctrl-C in a terminal goes to the whole group of
    processes, and workers that do not hear it are ended by this process, without a word.
    """
    resource_tracker.ensure_running()  # its start, which the first worker would cause, takes the mask away
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
