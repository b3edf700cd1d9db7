"""Hands calls to Dask workers, few at a time, wherever they run."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from multiprocessing import resource_tracker
from queue import Empty, SimpleQueue
from typing import Any, Protocol

from chunkwise.blocks.passes import Lost
from chunkwise.cluster.memory import ENVIRONMENT
from chunkwise.errors import ResumableError

__all__ = ["CONFIGURATION", "DaskExecutor", "Watch", "held_back"]

#: Calls in flight for each worker: one at work, and the next ones at hand.
IN_FLIGHT = 3

#: Seconds after which the crew is looked at, whether or not results come.
LOOK = 0.5

#: Of scheduler, nannies and workers, in every kind of cluster.
CONFIGURATION: dict[str, Any] = {
    "distributed.worker.multiprocessing-method": "spawn",
    # Blocks are sized to fit; Dask shall neither spill nor pause, only end a worker that is over.
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": 0.98,
    "distributed.admin.log-format": "%(message)s",
    "distributed.nanny.pre-spawn-environ": ENVIRONMENT,
    # A worker has one call, so that a call that kills it is told from others.
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.allowed-failures": 3,
}


class Watch(Protocol):
    """Sees to it that there are workers."""

    jobs: list[str]

    def look(self) -> None:
        """Look after the workers; called often, and quick."""

    def note(self) -> str:
        """What the progress line should say of them."""


class DaskExecutor:
    """Hands calls to Dask workers, few at a time.

    Parameters
    ----------
    client : distributed.Client
        Of the scheduler.
    workers : int
        That there are, or will be.
    crew : Watch, optional
        Looked at while results are waited for; what it raises ends the run.
    """

    def __init__(self, client: Any, workers: int, crew: Watch | None = None) -> None:
        self._client, self.workers, self._crew = client, workers, crew
        self.jobs: list[str] = crew.jobs if crew else []

    def note(self) -> str:
        """What the progress line should say of the workers."""
        return self._crew.note() if self._crew else ""

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call ``function(*call)`` for each call; results in the order in which they are ready.

        A call that workers die on again and again gives :class:`Lost`.
        """
        from distributed.scheduler import KilledWorker

        source = iter(calls)
        ready: SimpleQueue[Any] = SimpleQueue()
        sent: dict[Any, tuple[Any, tuple[Any, ...]]] = {}

        def send() -> bool:
            call = next(source, None)
            if call is None:
                return False
            future = self._client.submit(function, *call, pure=False)
            sent[future.key] = future, call
            future.add_done_callback(ready.put)
            return True

        for _ in range(self.workers * IN_FLIGHT):
            if not send():
                break
        while sent:
            self._look()
            try:
                future = ready.get(timeout=LOOK)
            except Empty:
                continue
            _, call = sent[future.key]
            try:
                result = self._result(future)
            except KilledWorker:
                result = Lost(call)
            del sent[future.key]
            future.release()
            send()
            yield result

    def _look(self) -> None:
        if self._crew:
            self._crew.look()

    def _result(self, future: Any) -> Any:
        """Fetch a result; should its worker have died just now, the crew sees to another one that makes it again."""
        while True:
            try:
                return future.result(timeout=LOOK)
            except (TimeoutError, UnboundLocalError):
                # On a very busy machine distributed's sync answers with the second when the time is over.
                if future.status == "error":
                    raise  # of the call itself
                self._look()
            except (OSError, CancelledError) as error:
                if future.status == "error":
                    raise  # of the call itself
                raise ResumableError(
                    f"The scheduler of the workers is gone ({type(error).__name__}); run the same command again when "
                    "it is back."
                ) from None


@contextmanager
def held_back() -> Iterator[None]:
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
