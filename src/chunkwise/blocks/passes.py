"""Passes over blocks: batches of ids go to workers, with a bounded number in flight.

Two shapes of pass are enough here. A *map* pass does something to every block and writes a journal
line for each. A *reduce* pass makes a small summary of every block, merged on the worker for a
batch and on the driver for a volume. (Merging labels is a map pass that compares faces, and
``blocks.merge``.)
"""

from __future__ import annotations

import functools
import os
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from chunkwise.blocks import deadline
from chunkwise.blocks.grid import Grid
from chunkwise.blocks.job import Executor, Job, Report
from chunkwise.blocks.journal import Journal
from chunkwise.blocks.progress import Progress
from chunkwise.blocks.rounding import check_rounding
from chunkwise.blocks.run import PLAN, Run
from chunkwise.errors import ChunkwiseError, PolicyError, ResumableError, VoxelsError
from chunkwise.storage.arrays import forget_opened
from chunkwise.storage.writer import StoredObject

__all__ = ["BlockResult", "Lost", "Unfinished", "map_pass", "reduce_pass"]

#: A full disk, or a place that may not be read: every other block would fail the same way; or none is to be done.
FOR_ALL = (ResumableError, PolicyError, VoxelsError)

#: Blocks that failed are named up to this many.
NAMED = 3


@dataclass(frozen=True)
class BlockResult:
    """What a map pass has to say of a block."""

    objects: tuple[StoredObject, ...] = ()
    data: Any = None
    content: Any = None
    """What the voxels that it wrote add up to; for the journal alone, so that the driver does not hold it."""


@dataclass(frozen=True)
class Lost:
    """Stands for the result of a call whose workers died again and again."""

    call: tuple[Any, ...]


@dataclass(frozen=True)
class Unfinished:
    """The result of a call that ended early, because its worker has to go, and the call for what is left."""

    result: Any
    rest: tuple[Any, ...]


def map_pass(
    job: Job,
    name: str,
    function: Callable[[Any, int], BlockResult],
    context: Any,
    count: int,
    *,
    voxels: int = 0,
    grid: Grid | None = None,
    units: bool = False,
) -> dict[int, Any]:
    """Do something to every block that is not done yet.

    Parameters
    ----------
    job : Job
        Where the work is done, and what is done already.
    name : str
        Of the pass, in the journal.
    function : callable
        Module-level ``function(context, block)``; must give the same objects whenever it is called.
    context : object
        Small and picklable.
    count : int
        Blocks are 0 .. count - 1.
    voxels : int
        Of all blocks together, for the progress line.
    grid : Grid, optional
        In which the blocks are numbered, volume after volume; for the table of blocks, which says where each lies.
    units : bool
        Whether the numbers are those of the grid's units.

    Returns
    -------
    dict
        Each block's ``data``, where it has some.

    Raises
    ------
    ResumableError
        If blocks failed or killed their workers: after all others are done, and with their names.
    """
    executor, run = job.executor, job.run
    done, data = run.done(name, count)
    _begin(run, name, count, grid, "unit" if units else "block")
    progress = Progress(name, count, voxels, int(done.sum()), executor.note)
    failures: list[tuple[int, str]] = []
    unread: set[str] = set()
    left = np.flatnonzero(~done)
    size = _batch_size(len(left), executor.workers)
    # Made as they are sent: a list of all of them would be the driver's largest.
    calls = ((function, context, run, name, left[i : i + size].tolist()) for i in range(0, len(left), size))
    for report in _results(executor, _map_batch, calls, failures):
        job.workers.add(report)
        failures += report.failures
        unread.update(report.unread)
        data.update((block, value) for block, value in report.results if value is not None)
        progress.advance(len(report.results))
    run.check_there()
    _raise_failures(name, failures, count, unread)
    return data


def reduce_pass(
    job: Job,
    name: str,
    function: Callable[[Any, int], Any],
    combine: Callable[[Any, Any], Any],
    context: Any,
    groups: Sequence[Sequence[int]],
    finish: Callable[[int, Any], Any],
    *,
    voxels: int = 0,
    grid: Grid | None = None,
) -> dict[int, Any]:
    """Reduce every group of blocks to one value, which goes into the journal.

    Parameters
    ----------
    function : callable
        Module-level ``function(context, block) -> summary``.
    combine : callable
        Module-level, associative and commutative: ``combine(summary, summary) -> summary``.
    groups : sequence of sequences of int
        The blocks of each group, such as those of one volume.
    finish : callable
        ``finish(group, summary) -> value`` on the driver; the value has to be JSON.
    grid : Grid, optional
        Of the blocks, where every group is a volume.

    Returns
    -------
    dict
        Each group's value.
    """
    executor, run = job.executor, job.run
    _, values = run.done(name, len(groups))
    total = sum(len(blocks) for blocks in groups)
    before = sum(len(groups[group]) for group in values)
    progress = Progress(name, total, voxels, before, executor.note)
    waiting = {group: len(blocks) for group, blocks in enumerate(groups) if group not in values}
    summaries: dict[int, Any] = {}
    size = _batch_size(total - before, executor.workers)
    calls = (
        (function, combine, context, run, group, groups[group][i : i + size])
        for group in list(waiting)
        for i in range(0, len(groups[group]), size)
    )
    journal = _begin(run, name, len(groups), grid, "volume")
    begin = time.time()
    failures: list[tuple[int, str]] = []
    unread: set[str] = set()
    for report, group, summary in _results(executor, _reduce_batch, calls, failures):
        job.workers.add(report)
        failures += report.failures
        unread.update(report.unread)
        if not report.results:
            continue
        summaries[group] = combine(summaries[group], summary) if group in summaries else summary
        waiting[group] -= len(report.results)
        progress.advance(len(report.results))
        if waiting[group] == 0:
            values[group] = finish(group, summaries.pop(group))
            journal.append(name, group, begin, time.time(), data=values[group])
    run.check_there()
    _raise_failures(name, failures, total, unread)
    return values


def _begin(run: Run, name: str, count: int, grid: Grid | None, each: str) -> Journal:
    """Note in the log that a pass begins, what for, and how much there is to do; gives the driver's segment."""
    journal = _segment(run.journal, run.hash)
    where = {} if grid is None else {"grid": [list(grid.shape), list(grid.unit), list(grid.block)], "each": each}
    journal.begin(name, {"count": count} | where)
    return journal


KILLS = "workers died on it again and again, usually for lack of memory: give a smaller --block or a larger --memory"


def _results(
    executor: Executor, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]], failures: list[tuple[int, str]]
) -> Iterator[Any]:
    """Run calls whose last argument is a batch of blocks.

    Of a batch that kills its workers every block is tried again alone, so that the one that does it
    is told from its neighbours, which are finished. What a worker left that had to go is done by another.
    """
    while True:
        again: list[tuple[Any, ...]] = []
        for result in executor.run(function, calls):
            if isinstance(result, Unfinished):
                again.append(result.rest)
                yield result.result
            elif not isinstance(result, Lost):
                yield result
            elif len(result.call[-1]) == 1:
                failures.append((result.call[-1][0], KILLS))
            else:
                again += [(*result.call[:-1], [block]) for block in result.call[-1]]
        if not again:
            return
        calls = again


def _raise_failures(name: str, failures: list[tuple[int, str]], count: int, unread: set[str]) -> None:
    if not failures:
        return
    failures.sort()
    words = "; ".join(f"block {block}: {sentence.rstrip('.')}" for block, sentence in failures[:NAMED])
    more = f"; and {len(failures) - NAMED} more" if len(failures) > NAMED else ""
    error = ResumableError(
        f"{len(failures)} of {count} blocks failed in the pass '{name}' ({words}{more}). The other blocks are done: "
        "fix the cause and run the same command again to resume."
    )
    error.unread = tuple(sorted(unread))
    raise error


def _batch_size(count: int, workers: int) -> int:
    """Few tasks whatever the number of blocks, yet enough of them to share the work evenly."""
    return max(1, min(256, count // (workers * 8)))


@functools.lru_cache(maxsize=4)
def _segment(folder: str, run: str) -> Journal:
    return Journal(folder, run)


_served: list[tuple[str, str, int]] = []


def _serve(run: Run) -> None:
    """Open everything anew for another run: workers that stay may have read its input when it was another one."""
    begun = 0
    with suppress(OSError):
        begun = os.stat(run.path(PLAN)).st_mtime_ns
    if _served != [(run.folder, run.hash, begun)]:
        if run.rounds:
            check_rounding(run.folder)
        if _served:
            forget_opened()
        _served[:] = [(run.folder, run.hash, begun)]


# Of voxels that are infinite or no numbers comes what it should; warnings of it would show people lines of code.
@np.errstate(all="ignore")
def _map_batch(
    function: Callable[[Any, int], BlockResult], context: Any, run: Run, name: str, blocks: list[int]
) -> Report | Unfinished:
    _serve(run)
    journal = _segment(run.journal, run.hash)
    results: list[tuple[int, Any]] = []
    failures: list[tuple[int, str]] = []
    unread: set[str] = set()
    rest: list[int] = []
    for position, block in enumerate(blocks):
        if position and deadline.is_past():
            rest = blocks[position:]
            break
        begin = time.time()
        try:
            result = function(context, block)
        except FOR_ALL:
            raise
        except ChunkwiseError as caught:
            journal.append(name, block, begin, time.time(), error=str(caught))
            failures.append((block, str(caught)))
            unread.update(caught.unread)
            continue
        journal.append(name, block, begin, time.time(), result.objects, result.data, content=result.content)
        results.append((block, result.data))
    report = _report(journal.worker, results, failures, unread)
    return Unfinished(report, (function, context, run, name, rest)) if rest else report


@np.errstate(all="ignore")
def _reduce_batch(
    function: Callable[[Any, int], Any],
    combine: Callable[[Any, Any], Any],
    context: Any,
    run: Run,
    group: int,
    blocks: Sequence[int],
) -> tuple[Report, int, Any] | Unfinished:
    _serve(run)
    worker = _segment(run.journal, run.hash).worker
    summary: Any = None
    results: list[tuple[int, Any]] = []
    failures: list[tuple[int, str]] = []
    unread: set[str] = set()
    rest: Sequence[int] = ()
    for position, block in enumerate(blocks):
        if position and deadline.is_past():
            rest = blocks[position:]
            break
        try:
            found = function(context, block)
        except FOR_ALL:
            raise
        except ChunkwiseError as caught:
            failures.append((block, str(caught)))
            unread.update(caught.unread)
            continue
        summary = combine(summary, found) if results else found
        results.append((block, None))
    done = (_report(worker, results, failures, unread), group, summary)
    return Unfinished(done, (function, combine, context, run, group, rest)) if rest else done


def _report(worker: str, results: list[tuple[int, Any]], failures: list[tuple[int, str]], unread: set[str]) -> Report:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return Report(worker, _peak_rss(), usage.ru_utime + usage.ru_stime, results, tuple(failures), tuple(unread))


def _peak_rss() -> int:
    """VmHWM of this process; ru_maxrss would carry over the parent's peak across exec."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0
