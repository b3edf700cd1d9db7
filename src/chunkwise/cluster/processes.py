"""Dask's scheduler and worker, without the HTTP server that each of them would open.

With the dashboard off, distributed (2026.8) still serves its HTTP routes without TLS, on port 8787 for the
scheduler and on a random port for every worker. Nothing here asks for them, and any account of the
machine could; so the servers are not started.
"""

from __future__ import annotations

import signal
from typing import Any

from distributed import Scheduler, Worker

__all__ = ["QuietScheduler", "QuietWorker"]


class QuietScheduler(Scheduler):
    """A scheduler that listens for its workers and clients only."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start nothing."""


class QuietWorker(Worker):
    """A worker that listens for the scheduler and other workers only."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        # Workers start with signals held back (``cluster.local``); this is how Dask ends one that is over its memory.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        super().__init__(*arguments, **options)

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Start nothing."""
