"""A job: a run, the workers that do it, and what each of them used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from chunkwise.blocks.run import Run

__all__ = ["Executor", "Job", "Report", "Workers"]


class Executor(Protocol):
    """Runs calls somewhere, and hands back results as they come, or :class:`Lost` for a call that kills workers."""

    workers: int
    jobs: list[str]
    """Ids of the batch jobs that were submitted, if any."""

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call ``function(*call)`` for each call; results in the order in which they are ready."""

    def note(self) -> str:
        """What the progress line should say of the workers, such as that some wait in a queue; mostly nothing."""


@dataclass
class Workers:
    """What each worker used, for the run record: peak memory is the process' own high-water mark."""

    peak_rss_bytes: dict[str, int] = field(default_factory=dict)
    cpu_seconds: dict[str, float] = field(default_factory=dict)
    blocks: dict[str, int] = field(default_factory=dict)
    cluster: dict[str, Any] | None = None
    """Where they ran, and what the batch system says they used."""

    def add(self, report: Report) -> None:
        """Take in the report of a batch."""
        name = report.worker
        self.peak_rss_bytes[name] = max(self.peak_rss_bytes.get(name, 0), report.peak_rss_bytes)
        self.cpu_seconds[name] = max(self.cpu_seconds.get(name, 0.0), report.cpu_seconds)
        self.blocks[name] = self.blocks.get(name, 0) + len(report.results)

    def rows(self) -> list[dict[str, Any]]:
        """One row a worker."""
        return [
            {
                "worker": name,
                "peak_rss_bytes": self.peak_rss_bytes[name],
                "cpu_seconds": round(self.cpu_seconds[name], 3),
                "blocks": self.blocks[name],
            }
            for name in sorted(self.blocks)
        ]


@dataclass(frozen=True)
class Report:
    """What a worker says of a batch of blocks."""

    worker: str
    peak_rss_bytes: int
    cpu_seconds: float
    results: list[tuple[int, Any]]
    failures: tuple[tuple[int, str], ...] = ()
    """Blocks that failed, each with its sentence."""
    unread: tuple[str, ...] = ()
    """Objects that could not be read."""


@dataclass(frozen=True)
class Job:
    """What passes are done with; results do not depend on it."""

    executor: Executor
    """Where the work is done."""
    run: Run
    """Whose journal says what is done already."""
    workers: Workers = field(default_factory=Workers)
    """Takes in what the workers use."""
    memory: int = 2**30
    """Bytes that a worker may take."""
