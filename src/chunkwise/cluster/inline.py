"""Runs everything in this process: one block after the other, or some at once, in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

__all__ = ["InlineExecutor", "ThreadsExecutor"]


class InlineExecutor:
    """One worker: this process."""

    workers = 1

    def __init__(self) -> None:
        self.jobs: list[str] = []

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call ``function(*call)`` for each call, in order."""
        for call in calls:
            yield function(*call)

    def note(self) -> str:
        """Nothing: there is nobody to wait for."""
        return ""


class ThreadsExecutor(InlineExecutor):
    """One worker, which works on some blocks at once: kernels, codecs and hashing leave Python's lock to others.

    Parameters
    ----------
    threads : int
        Blocks that are worked on at once, and held in memory together.
    """

    def __init__(self, threads: int) -> None:
        super().__init__()
        self.workers = threads

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call ``function(*call)`` for each call; results in the order in which they are ready."""
        pending: set[Future[Any]] = set()
        with ThreadPoolExecutor(self.workers, "block") as pool:
            try:
                for call in calls:
                    pending.add(pool.submit(function, *call))
                    # One more than there are threads, so that none waits for this one.
                    if len(pending) > self.workers:
                        yield from _ready(pending)
                while pending:
                    yield from _ready(pending)
            finally:
                # After an error, or an interruption, only what has begun is brought to its end.
                for future in pending:
                    future.cancel()


def _ready(pending: set[Future[Any]]) -> Iterator[Any]:
    done, _ = wait(pending, return_when=FIRST_COMPLETED)
    pending -= done
    for future in done:
        yield future.result()
