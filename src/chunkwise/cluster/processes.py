"""Dask's scheduler and worker, without the HTTP server that each of them would open.

With the dashboard off, distributed (2026.8) still serves its HTTP routes without TLS, on port 8787 for the
scheduler and on a random port for every worker. Nothing here asks for them, and any account of the
machine could; so the servers are not started.
"""

from __future__ import annotations

import signal
import time
from typing import Any

from distributed import Scheduler, Status, Worker
from tornado.ioloop import PeriodicCallback

from chunkwise.blocks.deadline import set_deadline

__all__ = ["QuietScheduler", "QuietWorker", "TimedWorker"]


class QuietScheduler(Scheduler):
    """A scheduler that listens for its workers and clients only."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start nothing."""


class QuietWorker(Worker):
    """A worker that listens for the scheduler and other workers only."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Workers start with signals held back (``cluster.executor``); Dask ends one that is over its memory by this.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        super().__init__(*arguments, **options)

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start nothing."""


class TimedWorker(QuietWorker):
    """A worker whose time is limited: it goes in good order before it is ended.

    When the time has come it takes nothing new, finishes the block at hand, hands back the rest of its batch
    (``blocks.deadline``), waits until the result was fetched, and goes. Where its start took so long that the time has
    come already, it takes one call first: a run always gets on.

    Parameters
    ----------
    stop_at : float
        Seconds since the epoch.
    """

    #: Seconds that a finished result may wait to be fetched.
    FETCHED = 20.0

    def __init__(self, *arguments: Any, stop_at: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        set_deadline(stop_at)
        self._stop_at, self._leaving = stop_at, False
        self.periodic_callbacks["time-limit"] = PeriodicCallback(self._leave_in_time, 250)

    async def _leave_in_time(self) -> None:
        if self._leaving or time.time() < self._stop_at:
            return
        over = time.time() > self._stop_at + self.FETCHED
        if not self.state.executed_count and not over:
            return
        if self.status == Status.running:
            self.status = Status.paused
        if self.state.executing or (self.data and not over):
            return
        self._leaving = True
        await self.close_gracefully(restart=False, reason="the job's time limit")
