"""Sees to it that the workers of a run are there: jobs that ended are replaced, and what cannot be mended is said.

The driver looks while it waits for results, so that nothing here runs beside it.

=========================================  ===================================================================
a job is gone from the queue               another is submitted; at once where the job had worked, later and
                                           later where it ended before its worker was heard of
a worker is silent though its job runs     after ``worker_lost_after`` the job is cancelled and replaced
all wait in the queue                      until ``queue_patience``
jobs run, and no worker was ever heard of  after three such jobs the run ends
the batch system takes no jobs             the run ends where there is no worker; else it is tried again
=========================================  ===================================================================
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from chunkwise.blocks.progress import clock
from chunkwise.cluster.batch import Job, cancel, find_jobs
from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster

__all__ = ["Crew", "Office", "cancel_all"]

#: Jobs that may end before their worker is heard of, while there is no other worker.
FAILED_STARTS = 3
#: Seconds between two questions to the batch system, at first and at most.
ASK_FIRST, ASK_LAST = 1.0, 30.0
#: Seconds that a worker has to find the scheduler, beyond the time after which it gives up by itself.
SLACK = 30.0


#: Seconds that workers have to go by themselves at the end of a run.
IN_ORDER = 10.0


@dataclass
class _Member:
    """One batch job."""

    id: str
    submitted: float
    running: float | None = None
    """When it was first seen to run."""
    heard: bool = False
    """Whether its workers ever were connected."""
    silent: float | None = None
    """Since when none of them is."""


class Office(Protocol):
    """What a crew needs to know of scheduler and batch system."""

    def connected(self) -> set[str]:
        """Names of the workers that are connected."""

    def submit(self, count: int) -> dict[str, str]:
        """Submit jobs; their ids by the name of their worker."""

    def forget(self, names: Iterable[str]) -> None:
        """Forget jobs that are no more."""


class Crew:
    """The jobs of one run.

    Parameters
    ----------
    cluster : Cluster
        The profile.
    office : Office
        Of scheduler and batch system.
    wanted : int
        Number of jobs.
    name : str
        Of the jobs, of this run alone.
    address : str
        Of the scheduler, for sentences.
    logs : str
        Folder with a log for each job, ``ID.log``.
    now : callable
        A clock, in seconds.
    """

    def __init__(
        self,
        cluster: Cluster,
        office: Office,
        wanted: int,
        name: str,
        address: str,
        logs: str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.jobs: list[str] = []
        self._cluster, self._office, self._wanted, self._name = cluster, office, wanted, name
        self._address, self._logs, self._now = address, logs, now
        self._members: dict[str, _Member] = {}
        self._queue: dict[str, Job] = {}
        self._workers = 0
        self._failed = 0
        self._last_words = ""
        self._alone: float | None = now()
        self._next_look = self._next_ask = self._next_submit = 0.0
        self._ask_pause = ASK_FIRST
        self._next_word, self._word_pause = now() + 2.0, 2.0

    def look(self) -> None:
        """Replace what is missing; tell where that is hopeless.

        Raises
        ------
        ResumableError
            If no worker comes, with the reason as far as it is known.
        """
        now = self._now()
        if now < self._next_look:
            return
        self._next_look = now + 0.4
        self._see_workers(now)
        missing = any(not member.heard or member.silent is not None for member in self._members.values())
        if missing and now >= self._next_ask:
            self._ask(now)
        if len(self._members) < self._wanted and now >= self._next_submit:
            self._submit(now)
        if not self._workers:
            self._say(now)
            self._check(now)

    def note(self) -> str:
        """Tell how many workers there are, where some are missing."""
        wanted = self._wanted * self._cluster.workers_per_job
        if self._workers >= wanted:
            return ""
        words = [f"{self._workers} of {wanted} workers"]
        waiting = [
            member
            for member in self._members.values()
            if (job := self._queue.get(member.id)) and job.state == "PENDING"
        ]
        starting = [member for member in self._members.values() if member.running is not None and not member.heard]
        if starting:
            words.append(f"{len(starting)} starting")
        if waiting:
            since = clock(self._now() - min(member.submitted for member in waiting))
            reason = self._queue[waiting[0].id].reason
            why = f" ({reason})" if reason not in ("", "None") else ""
            words.append(f"{len(waiting)} waiting in the queue {since}{why}")
        return ", ".join(words)

    def end(self, in_order: bool) -> None:
        """End all jobs: at once, or, where their workers were sent away, when they had a moment to go themselves."""
        ids = [member.id for member in self._members.values()]
        if in_order:
            cancel([member.id for member in self._members.values() if not member.heard])
            for _ in range(int(IN_ORDER / 0.25)):
                if not _left(self._name):
                    return
                time.sleep(0.25)
        cancel(ids)

    def _see_workers(self, now: float) -> None:
        connected = self._office.connected()
        self._workers = len(connected)
        per_job = self._cluster.workers_per_job
        for name, member in self._members.items():
            there = connected & ({name} if per_job == 1 else {f"{name}-{n}" for n in range(per_job)})
            if there:
                self._failed = self._failed if member.heard else 0
                member.heard, member.silent = True, None
            elif member.heard and member.silent is None:
                member.silent = now
                self._hurry(now)
        if self._workers:
            self._alone = None
        elif self._alone is None:
            self._alone = now

    def _hurry(self, now: float) -> None:
        """Something has changed: ask the batch system soon."""
        self._ask_pause = ASK_FIRST
        self._next_ask = min(self._next_ask, now + ASK_FIRST)

    def _ask(self, now: float) -> None:
        """See which jobs are gone, and which run without a word."""
        self._next_ask = now + self._ask_pause
        self._ask_pause = min(1.5 * self._ask_pause, ASK_LAST)
        found = find_jobs(self._name)
        if found is None:
            return  # the batch system does not answer just now
        self._queue = {job.id: job for job in found}
        give_up = self._cluster.driver_lost_after + SLACK
        gone: list[str] = []
        for name, member in self._members.items():
            job = self._queue.get(member.id)
            if job is None or job.state not in ("PENDING", "CONFIGURING", "RUNNING", "SUSPENDED"):
                gone.append(name)
            elif job.state == "RUNNING":
                member.running = member.running or now
                lost = member.silent is not None and now - member.silent > self._cluster.worker_lost_after
                if lost or (not member.heard and now - member.running > give_up):
                    cancel([member.id])
                    gone.append(name)
        for name in gone:
            member = self._members.pop(name)
            if not member.heard:
                self._failed += 1
                self._last_words = _last_words(os.path.join(self._logs, f"{member.id}.log")) or self._last_words
        if gone:
            self._office.forget(gone)
            # A node that ends every job at once shall not be fed with jobs.
            self._next_submit = now + min(300.0, 2.0**self._failed if self._failed else 0.0)
            self._hurry(now)

    def _submit(self, now: float) -> None:
        try:
            made = self._office.submit(self._wanted - len(self._members))
        except ResumableError:
            if not self._workers and not self._members:
                raise
            self._next_submit = now + 60.0
            return
        self.jobs += made.values()
        self._members |= {name: _Member(id, now) for name, id in made.items()}
        self._hurry(now)

    def _say(self, now: float) -> None:
        """Say that the run waits, at first often."""
        if now >= self._next_word and (note := self.note()):
            print(f"{'waiting':<10} {note}", file=sys.stderr, flush=True)
            self._next_word = now + self._word_pause
            self._word_pause = min(2 * self._word_pause, 60.0)

    def _check(self, now: float) -> None:
        if self._failed >= FAILED_STARTS:
            words = f" (the last line of one: {self._last_words})" if self._last_words else ""
            raise ResumableError(
                f"{self._failed} jobs of the cluster '{self._cluster.name}' ran, and none of their workers reached "
                f"this process at {self._address}{words}; ask your administrator whether the nodes may connect to that "
                "port, and whether the profile's setup and python are right, then run the same command again."
            )
        waited = now - (self._alone if self._alone is not None else now)
        states = [job.state for member in self._members.values() if (job := self._queue.get(member.id))]
        if waited > self._cluster.queue_patience and "RUNNING" not in states:
            reason = next((job.reason for job in self._queue.values()), "nothing")
            raise ResumableError(
                f"No job of the cluster '{self._cluster.name}' began within {clock(waited)} in the queue (the batch "
                f"system says: {reason}); run the same command again when it is less busy."
            )


def cancel_all(name: str) -> None:
    """Cancel whatever was submitted in the very moment when a run ended."""
    cancel(_left(name))


def _left(name: str) -> list[str]:
    return sorted({job.id for job in find_jobs(name) or () if job.state != "COMPLETING"})


def _last_words(path: str) -> str:
    """The last line of a log, if there is one."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip()]
    except OSError:
        return ""
    return lines[-1][:300] if lines else ""
