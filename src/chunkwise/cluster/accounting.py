"""What the jobs of a run used, as the batch system accounts for it: for the run record and the crate."""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chunkwise.blocks.job import Executor
from chunkwise.cluster.inline import ThreadsExecutor
from chunkwise.site.model import Cluster

__all__ = ["JobFigures", "account", "account_left", "driver_of", "read_figures"]

#: Columns that sacct is asked for; ``_take`` reads them.
COLUMNS = (
    "JobIDRaw,JobID,Partition,NodeList,State,ElapsedRaw,Submit,Start,TotalCPU,MaxRSS,"
    "Account,TimelimitRaw,AllocTRES,TRESUsageInTot,TRESUsageOutTot,TRESUsageInMax"
)

#: Where the logs of jobs lie in a run directory, each with its job's number as its name.
LOGS = (("cluster",), ("array", "logs"))

#: Jobs that are named one by one; all of them are in the sums.
NAMED = 100

#: Seconds that the accounting may take to hear of the end of a job.
PATIENCE = 6.0

#: Seconds that sacct may take to answer; and where a process that is about to end asks.
ANSWER, SHORT_ANSWER = 30.0, 5.0

#: Ids in one question to sacct.
AT_ONCE = 500

#: States of a job that has not ended.
AT_WORK = ("RUNNING", "PENDING", "COMPLETING", "CONFIGURING", "SUSPENDED", "REQUEUED")


@dataclass
class JobFigures:
    """One job, or one element of an array; None where the accounting does not say."""

    id: str
    partition: str | None = None
    nodes: str | None = None
    state: str | None = None
    elapsed_seconds: float | None = None
    queue_seconds: float | None = None
    cpu_seconds: float | None = None
    max_rss_bytes: int | None = None
    account: str | None = None
    walltime_seconds: float | None = None
    gpus: int | None = None
    gpu_memory_bytes: int | None = None
    gpu_utilization_percent: float | None = None
    read_bytes: int | None = None
    """From file systems, by all steps together."""
    written_bytes: int | None = None
    steps: list[str] | None = None
    """Names of the steps that were accounted for, such as ``batch``."""

    def to_dict(self) -> dict[str, Any]:
        """What is known of it."""
        return {key: value for key, value in vars(self).items() if value is not None}


def account(cluster: Cluster, executor: Executor, wait: bool = True) -> dict[str, Any]:
    """Tell where a run computed, and what its jobs used.

    Parameters
    ----------
    cluster : Cluster
        The profile.
    executor : Executor
        That has done the work, and was closed.
    wait : bool
        Whether to wait a few seconds for the accounting; not where this process is about to be ended.

    Returns
    -------
    dict
        ``kind`` and ``profile``; where this process worked on some blocks at once ``threads``; where there were batch
        jobs ``jobs`` (the first hundred, one by one) and ``total``; where this process runs in a job of its own
        ``driver``. What is not known is not in it.
    """
    found: dict[str, Any] = {"kind": cluster.kind, "profile": cluster.name}
    if isinstance(executor, ThreadsExecutor):
        found["threads"] = executor.workers
    own = os.environ.get("SLURM_JOB_ID")
    if executor.jobs:
        found |= _of_jobs(executor.jobs, wait)
    if own:
        found["driver"] = next((job.to_dict() for job in read_figures([own], wait=False)), {"id": own})
    return found


def _of_jobs(ids: Sequence[str], wait: bool) -> dict[str, Any]:
    jobs = read_figures(ids, wait)
    return {"jobs": [job.to_dict() for job in jobs[:NAMED]], "total": _total(jobs, len(ids))}


def driver_of(environment: Mapping[str, str]) -> dict[str, Any] | None:
    """What is known of the batch job that this process runs in, when it begins; None outside of one."""
    own = environment.get("SLURM_JOB_ID", "")
    return {"driver": {"id": own}} if own.isdecimal() else None


def account_left(folder: str, known: Mapping[str, Any] | None) -> tuple[dict[str, Any] | None, str]:
    """Find out about the jobs of a run that has ended without asking for them.

    Parameters
    ----------
    folder : str
        The run directory: the logs of jobs that lie in it are named by them.
    known : mapping, optional
        What the record says already.

    Returns
    -------
    cluster : dict or None
        The same, with what the batch system says by now.
    ended : str
        A sentence on how the driver's own job ended, if it did not end by itself; else empty.
    """
    found: dict[str, Any] = dict(known or {})
    if "jobs" not in found:
        logs = [log for part in LOGS for log in Path(folder, *part).glob("*.log")]
        ids = sorted({log.stem for log in logs if log.stem.isdecimal()}, key=int)
        if ids:
            found |= _of_jobs(ids, wait=False)
    ended = ""
    driver = found.get("driver")
    if isinstance(driver, dict) and str(driver.get("id", "")).isdecimal():
        figures = next((job.to_dict() for job in read_figures([str(driver["id"])], wait=False)), driver)
        found["driver"] = figures
        state = figures.get("state")
        if state and state not in (*AT_WORK, "COMPLETED"):
            ended = f"The batch job {figures['id']} of the run ended in the state {state} before its work was done."
    return found or None, ended


def read_figures(ids: Sequence[str], wait: bool = True) -> list[JobFigures]:
    """Ask sacct; where there is none, or it says nothing, the list is empty.

    Parameters
    ----------
    ids : sequence of str
        Of jobs.
    wait : bool
        Whether to wait a few seconds until the accounting has heard that they have ended.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        found: dict[str, JobFigures] = {}
        at_work = False
        for begin in range(0, len(ids), AT_ONCE):
            text = _sacct(ids[begin : begin + AT_ONCE], ANSWER if wait else SHORT_ANSWER)
            if text is None:
                return []
            for line in text.splitlines():
                row = line.split("|")
                if len(row) == len(COLUMNS.split(",")):
                    # A step may go on for a moment after its job, and has said nothing of its memory then.
                    at_work = at_work or row[4] in ("RUNNING", "PENDING", "COMPLETING")
                    _take(found, row)
        if (found and not at_work) or not wait or time.monotonic() > deadline:
            return list(found.values())
        time.sleep(0.5)


def _take(found: dict[str, JobFigures], row: Sequence[str]) -> None:
    """A row is a job, or one of its steps: memory and processor time of the steps are the job's."""
    raw, shown, partition, nodes, state, elapsed, submitted, started, cpu, memory, *further = row
    account, limit, allocated, read, written, most = further
    id = raw.split(".")[0]
    job = found.setdefault(id, JobFigures(id))
    if "." not in raw:
        job.id = shown
        job.partition, job.state = partition or None, state.split(" ")[0] or None
        job.nodes = nodes if nodes != "None assigned" and nodes else None
        job.elapsed_seconds, job.queue_seconds = _number(elapsed), _between(submitted, started)
        minutes = _number(limit)  # or "UNLIMITED"
        job.account, job.walltime_seconds = account or None, None if minutes is None else 60 * minutes
        job.gpus = _resource(allocated, "gres/gpu")
    else:
        job.steps = [*(job.steps or []), raw.split(".", 1)[1]]
        job.read_bytes = _sum(job.read_bytes, _resource(read, "fs/disk"))
        job.written_bytes = _sum(job.written_bytes, _resource(written, "fs/disk"))
        job.gpu_memory_bytes = _larger(job.gpu_memory_bytes, _resource(most, "gres/gpumem"))
        used_share = _resource(most, "gres/gpuutil")
        if used_share is not None:
            job.gpu_utilization_percent = max(float(used_share), job.gpu_utilization_percent or 0.0)
    used, held = _span(cpu), _bytes(memory)
    if used:  # 0 stands for "not measured" here: no process needs no time at all
        job.cpu_seconds = max(used, job.cpu_seconds or 0.0)
    if held:
        job.max_rss_bytes = max(held, job.max_rss_bytes or 0)


def _resource(text: str, name: str) -> int | None:
    """Read ``7`` of ``cpu=2,gres/gpu=7``; 0 stands for "not measured", or for none."""
    for part in text.split(","):
        key, _, value = part.partition("=")
        if key == name:
            return _bytes(value) or None
    return None


def _sum(first: int | None, second: int | None) -> int | None:
    return second if first is None else first + (second or 0)


def _larger(first: int | None, second: int | None) -> int | None:
    return second if first is None else max(first, second or 0)


def _total(jobs: Sequence[JobFigures], submitted: int) -> dict[str, Any]:
    total: dict[str, Any] = {"submitted": submitted}
    if jobs:
        total["states"] = dict(sorted(Counter(job.state for job in jobs if job.state).items()))
    for key, merge in (
        ("elapsed_seconds", sum),
        ("cpu_seconds", sum),
        ("read_bytes", sum),
        ("written_bytes", sum),
        ("queue_seconds", max),
        ("max_rss_bytes", max),
    ):
        known = [value for job in jobs if (value := getattr(job, key)) is not None]
        if known:
            total[key] = round(merge(known), 3)
    return total


def _sacct(ids: Sequence[str], seconds: float) -> str | None:
    command = ["sacct", "-n", "-P", "--noconvert", "-j", ",".join(ids), "-o", COLUMNS]
    try:
        done = subprocess.run(  # noqa: S603 -- ids of jobs only
            command, capture_output=True, text=True, errors="replace", timeout=seconds
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _number(text: str) -> float | None:
    return float(text) if text.isdecimal() else None


def _between(first: str, second: str) -> float | None:
    try:
        begin, end = (time.mktime(time.strptime(text, "%Y-%m-%dT%H:%M:%S")) for text in (first, second))
    except ValueError:
        return None  # such as "Unknown"
    return end - begin


def _span(text: str) -> float | None:
    """Seconds of ``1-02:03:04``, ``02:03:04`` or ``03:04.567``."""
    days, _, rest = text.rpartition("-")
    try:
        parts = [float(part) for part in rest.split(":")]
        seconds = 0.0
        for part in parts:
            seconds = 60 * seconds + part
        return seconds + 86400 * int(days or 0)
    except ValueError:
        return None


def _bytes(text: str) -> int | None:
    """Bytes of ``145360K``."""
    scale = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}.get(text[-1:], 1)
    try:
        return int(float(text.rstrip("KMGT")) * scale)
    except ValueError:
        return None
