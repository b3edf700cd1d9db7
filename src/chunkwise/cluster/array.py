"""A run as arrays of batch jobs, without a scheduler of Dask: for runs of any length and number of blocks.

Every pass is an array. Its calls lie in files; the elements of the array claim one after the other, and append what
came out to files, so that nothing has to stay connected. One process *leads*: the command that somebody gave. It
writes the calls, submits, reads the results, and does what lies between passes. Everything it has to know is in the
run's journal, so that another process can take its place at any time.

With every array a *successor* is submitted, a job that begins when the array has ended (and the leader's own job,
where it runs in one). While there is a leader, nothing comes of it. If the leader is gone, it gives the same command
again, with a successor of its own: the last one finishes the run.

=======================  =====================================================================================
an element dies          its call is in no result when the array has ended: a smaller array does what is left
it dies again and again  after three times on the same call that call is handed back as ``Lost``
an element's time ends   it begins no block shortly before; what is left, see above
the leader is killed     the array goes on, and the successor after it
the leader's time ends   the same
the leader is cancelled  it cancels array and successor
=======================  =====================================================================================
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any

import numpy as np

from chunkwise.blocks.passes import Lost
from chunkwise.cluster import array_job, batch
from chunkwise.cluster.array_files import Calls, Results, begin_round, claims, last_words, private_folder, write_calls
from chunkwise.cluster.memory import ENVIRONMENT
from chunkwise.cluster.resources import Resources
from chunkwise.errors import InputError, PolicyError, ResumableError
from chunkwise.site.model import Cluster
from chunkwise.storage.writer import put_object

__all__ = ["ArrayExecutor", "array_folder", "job_names", "job_script", "open_array"]

#: Times that a call may kill the job that does it.
ATTEMPTS = 3
#: Arrays in a row of which nothing came, not even a call that was begun.
FRUITLESS = 3
#: Leaders in a row that died before any result came.
GENERATIONS = 5
#: Seconds between two looks: few at first, then a share of the time that a round has taken, up to the last.
SOONEST, SHARE, LATEST = 0.5, 0.05, 10.0
#: Seconds before the end of its time limit in which a job that is ended was ended by that limit.
KILL_WAIT = 120

SCRIPT = """#!/bin/sh
exec > "$CHUNKWISE_ARRAY_LOGS/$SLURM_JOB_ID.log" 2>&1
{setup}
exec "$CHUNKWISE_ARRAY_PYTHON" -P -m chunkwise.cluster.array_job {task}
"""


class ArrayExecutor:
    """Runs the calls of a pass as an array of jobs."""

    def __init__(self, cluster: Cluster, resources: Resources, folder: str) -> None:
        self._cluster, self._resources, self._folder = cluster, resources, folder
        self.workers = resources.workers
        #: Of all jobs that were submitted.
        self.jobs: list[str] = []
        self._array_name, self._successor_name = job_names(folder)
        self._own_job = os.environ.get("SLURM_JOB_ID")
        self._ends = batch.end_of_job(self._own_job) if self._own_job else None
        self._generation = int(os.environ.get(array_job.GENERATION, "0"))
        self._array, self._successor, self._ticket = "", "", ""
        self._limit = batch.array_limit()
        self._note = ""

    def run(self, function: Callable[..., Any], calls: Iterable[tuple[Any, ...]]) -> Iterator[Any]:
        """Call ``function(*call)`` for each call; results in the order in which they are ready.

        A call that jobs die on again and again gives :class:`Lost`.

        Raises
        ------
        ResumableError
            If the batch system takes no jobs, or jobs end before they begin their work.
        """
        folder, count = write_calls(self._folder, function, calls)
        results, done = Results(folder), np.zeros(count, np.bool_)
        attempts = np.zeros(count, np.int8)
        fruitless = 0
        # What is there already is the work of jobs whose leader has died. What failed then is tried again: somebody
        # may have made room on the disk since.
        yield from self._take_in(results, done, failures=False)
        while True:
            left = np.flatnonzero(~done & (attempts < ATTEMPTS))
            if not len(left):
                break
            turn = begin_round(folder, left)
            self._submit_round(folder, turn, len(left))
            yield from self._wait(results, done, left)
            begun = np.asarray([n for n in claims(folder, turn) if not done[n]], np.int64)
            attempts[begun] += 1
            fruitless = 0 if len(begun) or done[left].any() else fruitless + 1
            if fruitless == FRUITLESS:
                raise ResumableError(
                    f"Jobs of the cluster '{self._cluster.name}' ended {FRUITLESS} times before they began their work"
                    f"{self._last_words()}; fix the cause, or ask your administrator, and run the same command again."
                )
        known = Calls(folder)
        for number in np.flatnonzero(~done).tolist():
            yield Lost(known.read(number)[1])
        shutil.rmtree(folder, ignore_errors=True)

    def note(self) -> str:
        """How many of the jobs run, where not all of them do."""
        return self._note

    def open(self) -> None:
        """Make sure that no jobs of a leader before this one are still about, and that one comes after it."""
        for name in (self._array_name, self._successor_name):
            batch.cancel(sorted({job.id for job in batch.find_jobs(name) or []} - {self._own_job}))
        for name in os.listdir(self._folder):
            if name.startswith("next-"):
                os.unlink(os.path.join(self._folder, name))
        if self._own_job:
            self._succeed()

    def forget(self) -> None:
        """Remove what came out of a run before this one, whose directory was removed: it may have read other voxels."""
        for entry in list(os.scandir(self._folder)):
            if entry.is_dir(follow_symlinks=False) and entry.name != "logs":
                shutil.rmtree(entry.path, ignore_errors=True)

    def close(self, error: BaseException | None) -> None:
        """End what is still there, unless this process is ended by the time limit of its job."""
        if isinstance(error, KeyboardInterrupt) and self._ends and time.time() > self._ends - KILL_WAIT:
            print("This job's time is up; another one continues the run.", file=sys.stderr, flush=True)
            return
        with suppress(OSError):
            os.unlink(self._ticket)
        batch.cancel([job for job in (self._array, self._successor) if job])
        if error is None or isinstance(error, InputError | PolicyError):
            shutil.rmtree(self._folder, ignore_errors=True)

    def _submit_round(self, folder: str, turn: int, count: int) -> None:
        elements = min(self.workers, count, self._limit)
        self._array = self._submit(
            "work",
            ["--array", f"0-{elements - 1}", "--job-name", self._array_name],
            {array_job.FOLDER: folder, array_job.TURN: str(turn), array_job.WALLTIME: str(self._cluster.walltime)},
        )
        self._succeed(self._array)

    def _succeed(self, *after: str) -> None:
        """Let a job follow this process, in the place of the one that did so far."""
        arguments = _own_arguments()
        if arguments is None or self._generation >= GENERATIONS:
            return
        before, before_ticket = self._successor, self._ticket
        self._ticket = os.path.join(self._folder, f"next-{secrets.token_hex(8)}.json")
        self._write_ticket(self._generation + 1)
        after = (*after, self._own_job) if self._own_job else after
        dependency = f"--dependency=afterany:{':'.join(after)}"
        self._successor = self._submit(
            "go-on", [dependency, "--job-name", self._successor_name], {array_job.TICKET: self._ticket}
        )
        if before:
            os.unlink(before_ticket)
            batch.cancel([before])

    def _write_ticket(self, generation: int) -> None:
        content = {"arguments": _own_arguments(), "folder": os.getcwd(), "generation": generation}
        put_object(self._folder, os.path.basename(self._ticket), json.dumps(content).encode())

    def _submit(self, task: str, options: list[str], variables: dict[str, str]) -> str:
        job = batch.submit(
            self._cluster,
            job_script(self._cluster, task),
            [*batch.job_options(self._cluster, self._resources.memory_per_worker), "--cpus-per-task=1", *options],
            ENVIRONMENT
            | variables
            | {
                "CHUNKWISE_ARRAY_LOGS": os.path.join(self._folder, "logs"),
                "CHUNKWISE_ARRAY_PYTHON": self._cluster.python or sys.executable,
            },
        )
        self.jobs.append(job)
        return job

    def _wait(self, results: Results, done: np.ndarray[Any, np.dtype[np.bool_]], left: Any) -> Iterator[Any]:
        """Hand out results until all of them are there, or the array has ended."""
        begin = time.monotonic()
        waiting = _Waiting(self._cluster)
        while True:
            # Looked at before the results: what an element has written before its end is read after it.
            jobs = batch.find_jobs(self._array_name)
            yield from self._take_in(results, done)
            if done[left].all():
                batch.cancel([self._array], waiting_only=True)  # the others find nothing left, and end
                self._array = ""
                return
            if jobs is None:
                self._note = waiting.unanswered()
            else:
                mine = [job for job in jobs if job.id == self._array]
                if not mine:
                    return
                self._note = waiting.look(mine)
            time.sleep(min(LATEST, SOONEST + SHARE * (time.monotonic() - begin)))

    def _take_in(
        self, results: Results, done: np.ndarray[Any, np.dtype[np.bool_]], failures: bool = True
    ) -> Iterator[Any]:
        for number, (fine, value) in results.fresh():
            if not fine:
                if failures:
                    raise value
                continue
            if self._generation:
                self._generation = 0
                if self._ticket:
                    self._write_ticket(1)
            if not done[number]:  # two jobs may have done it, where one was given up and lived on
                done[number] = True
                yield value

    def _last_words(self) -> str:
        logs = os.path.join(self._folder, "logs")
        return last_words(os.path.join(logs, name) for name in os.listdir(logs))


class _Waiting:
    """Says now and then how long the queue makes a run wait, and ends that where it is too long."""

    #: Seconds before the first line, which then come after twice the time each.
    FIRST = 5.0

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._begin = time.monotonic()
        self._pause = self.FIRST
        self._began = False
        self._silent: float | None = None

    def unanswered(self) -> str:
        """Take note that the batch system did not answer, which is no harm for a while: jobs go on without it."""
        now = time.monotonic()
        self._silent = now if self._silent is None else self._silent
        spent = now - self._silent
        if spent > self._cluster.queue_patience:
            raise ResumableError(
                f"The batch system of the cluster '{self._cluster.name}' has not answered for {ceil(spent / 60)} "
                f"minutes; {batch.ADVICE.format(name=self._cluster.name)}"
            )
        if spent > self._pause:
            self._pause *= 2
            print(f"the batch system has not answered for {spent:.0f} s", file=sys.stderr, flush=True)
        return "the batch system does not answer"

    def look(self, jobs: list[batch.Job]) -> str:
        """Look at the jobs in the queue; what there is to say of them beside the progress."""
        self._silent = None
        waiting = [job for job in jobs if job.state == "PENDING"]
        self._began = self._began or len(waiting) < len(jobs)
        if self._began:
            return f"{len(waiting)} of {len(jobs)} jobs wait in the queue ({waiting[0].reason})" if waiting else ""
        spent = time.monotonic() - self._begin
        if spent > self._cluster.queue_patience:
            raise ResumableError(
                f"No job began within {ceil(spent / 60)} minutes in the queue of the cluster '{self._cluster.name}' "
                f"({jobs[0].reason}); run the same command again when it is less busy."
            )
        if spent > self._pause:
            self._pause *= 2
            print(
                f"waiting in the queue for {spent:.0f} s: 0 of {len(jobs)} jobs run ({jobs[0].reason})",
                file=sys.stderr,
                flush=True,
            )
        return ""


def array_folder(cluster: Cluster, folder: str) -> str:
    """Where calls, results and logs of the run in a directory lie."""
    if not cluster.folder:
        return os.path.join(folder, "array")
    return os.path.join(cluster.folder, f"chunkwise-array-{hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]}")


def job_names(folder: str) -> tuple[str, str]:
    """Names of the jobs of a run, by which a later leader finds them: of its arrays, and of successors."""
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    return f"chunkwise-array-{digest}", f"chunkwise-next-{digest}"


def job_script(cluster: Cluster, task: str) -> str:
    """The script of a job; all that differs from run to run lies in the environment."""
    return SCRIPT.format(setup="\n".join(cluster.setup), task=task)


def _own_arguments() -> list[str] | None:
    """The command line of this process, where it is one of chunkwise: a program that uses the library is not."""
    name = sys.argv[0]
    ours = os.path.basename(name) == "chunkwise" or name.endswith(os.path.join("chunkwise", "cli.py"))
    return sys.argv[1:] if ours else None


@contextmanager
def open_array(cluster: Cluster, resources: Resources, tasks: int, folder: str) -> Iterator[ArrayExecutor]:
    """Run passes as arrays of batch jobs; cancel what is left of them at the end.

    Parameters
    ----------
    cluster : Cluster
        The profile of the site.
    resources : Resources
        Jobs at once, and bytes of memory for each.
    tasks : int
        Number of blocks; there are no more jobs than these.
    folder : str
        The run directory, on a file system that all nodes see: in it calls, results and logs get a folder that this
        account alone can look into, unless the profile names another place for it.

    Raises
    ------
    ResumableError
        If another process leads the same run.
    PolicyError
        If another account could write into the folder.
    """
    begins = not os.path.isdir(os.path.join(folder, "journal"))
    folder = private_folder(array_folder(cluster, os.path.abspath(folder)), make=True)
    os.makedirs(os.path.join(folder, "logs"), mode=0o700, exist_ok=True)
    handle = None
    for _ in range(20):
        # A successor that finds no leader holds it for a moment, before it begins.
        handle = array_job.lead(folder, wait=False)
        if handle is not None:
            break
        time.sleep(0.5)
    if handle is None:
        raise ResumableError(f"Another process is leading the run in {folder}; wait for it, or end it first.")
    executor = ArrayExecutor(cluster, Resources(min(resources.workers, tasks), resources.memory_per_worker), folder)
    error: BaseException | None = None
    try:
        executor.open()
        if begins and cluster.folder:
            executor.forget()
        yield executor
    except BaseException as caught:
        error = caught
        raise
    finally:
        executor.close(error)
        os.close(handle)
