"""Dask workers on this machine: spawned, with TLS on loopback too, and no other open port.

Any account of a shared node could connect to a plain TCP scheduler on 127.0.0.1 and run code as
its owner; so the scheduler only talks to holders of a certificate that lives in memory.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from chunkwise.cluster.executor import CONFIGURATION, DaskExecutor, held_back
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.cluster.memory import steady_memory
from chunkwise.cluster.resources import Resources

__all__ = ["open_local"]


@contextmanager
def open_local(resources: Resources, tasks: int) -> Iterator[InlineExecutor | DaskExecutor]:
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
    with dask.config.set(CONFIGURATION), ExitStack() as stack:
        with held_back():
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
