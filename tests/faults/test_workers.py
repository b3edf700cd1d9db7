"""Workers that are lost, one or all; silent ones that go on; the limits of time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import fault_blocks
import made_stores
from begun import begun
from chunkwise.blocks.job import Job
from chunkwise.blocks.passes import map_pass
from chunkwise.cluster.resources import Resources
from chunkwise.cluster.start import open_executor
from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster
from cluster_runs import ClusterRun, Undisturbed, processes_of
from slurm_server import Slurm, until

pytestmark = pytest.mark.cluster

MakeRun = Callable[..., ClusterRun]


def test_one_worker_is_cancelled(make_run: MakeRun, undisturbed: Undisturbed, slurm: Slurm) -> None:
    run = make_run().start()
    run.wait_for("label")
    slurm.call("scancel", run.workers()[0])
    run.at_work()
    code, said = run.end()
    assert code == 0, said
    assert made_stores.digest(run.output) == undisturbed.digest
    total = run.cluster()["total"]
    assert total["submitted"] >= 4, "the lost worker was not replaced"
    assert total["states"]["CANCELLED"] >= 1
    assert not run.workers("PENDING,RUNNING")


def test_all_workers_are_cancelled(make_run: MakeRun, undisturbed: Undisturbed, slurm: Slurm) -> None:
    run = make_run().start()
    run.wait_for("label")
    slurm.call("scancel", *run.workers("PENDING,RUNNING"))
    run.at_work()
    code, said = run.end()
    assert code == 0, said
    assert made_stores.digest(run.output) == undisturbed.digest
    assert run.cluster()["total"]["submitted"] >= 6


def test_silent_workers_are_replaced(make_run: MakeRun, undisturbed: Undisturbed) -> None:
    """Jobs stop in the middle of their blocks, as on nodes that hang: they are cancelled, and others submitted."""
    run = make_run(worker_lost_after="5s").start()
    until("all are there", 60, lambda: len(processes_of(run.workers())) == 6)
    run.wait_for("holes")
    stopped = processes_of(run.workers())
    for process in stopped:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        time.sleep(1)  # who is writing a line stops after it
        before = run.lines("label")
        run.at_work()
        until("others go on", 120, lambda: run.lines("label") > before)
    finally:
        for process in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGCONT)
    code, said = run.end()
    assert code == 0, said
    assert len(stopped) == 6
    total = run.cluster()["total"]
    assert total["submitted"] > 3, "nobody was replaced"
    assert total["states"]["CANCELLED"] >= 1
    # Whether the old ones do a block once more before they are ended is a matter of moments.
    assert made_stores.digest(run.output) == undisturbed.digest


def test_workers_go_before_their_time_is_over(make_run: MakeRun, tmp_path: Path) -> None:
    """A run far longer than the time of any worker: each hands back the rest of its blocks, and a new one comes."""
    # Slurm counts in minutes and would end them later; workers stop by themselves about 11 s after their job began.
    whole = Undisturbed(tmp_path / "whole", size=320)
    run = make_run(words=whole.words, walltime="18s", workers_min=1, workers_max=1).start()
    code, said = run.end(600)
    assert code == 0, said
    assert made_stores.digest(run.output) == whole.digest
    cluster = run.cluster()
    assert cluster["total"]["submitted"] > 1, "the run was over before the time of any worker"
    assert json.loads(run.record.read_text())["blocks"]["retried"] == 0, "a worker was ended in the middle of a block"


@pytest.mark.slow
def test_the_batch_system_ends_workers_at_their_time_limit(make_run: MakeRun, tmp_path: Path) -> None:
    """Workers that do not know their limit are killed by Slurm at one minute, all at once, and replaced."""
    whole = Undisturbed(tmp_path / "whole", size=1400)
    run = make_run(words=whole.words, sbatch=["--time=1"]).start()
    code, said = run.end(600)
    assert code == 0, said
    assert made_stores.digest(run.output) == whole.digest
    assert run.cluster()["total"]["states"]["TIMEOUT"] >= 1


@pytest.mark.parametrize("by", ["nanny", pytest.param("slurm", marks=pytest.mark.slow)])
def test_a_block_over_its_memory_is_named_and_the_others_are_done(
    slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    """Whoever ends the worker: Dask, which looks ten times a second, or Slurm, which ends the whole job."""
    monkeypatch.setenv("SLURM_CONF", slurm.conf)
    monkeypatch.setenv("PYTHONPATH", str(Path(fault_blocks.__file__).parent))
    options: dict[str, Any] = {"memory_per_worker": 400 * 2**20}
    if by == "slurm":
        options = {"memory_per_worker": 4 * 2**30, "sbatch": ("--mem=400M",)}
    cluster = Cluster("test", "slurm", walltime=900, worker_lost_after=10, driver_lost_after=20, **options)
    greedy = fault_blocks.Greedy(7, 700 * 2**20, beside=by == "slurm")
    run = begun(tmp_path)
    with (
        pytest.raises(ResumableError, match=r"1 of 40 blocks failed .*block 7: workers died on it again and again"),
        open_executor(Resources(2, cluster.memory_per_worker, cluster), 40, run.folder) as executor,
    ):
        map_pass(Job(executor, run), "test", fault_blocks.greedy, greedy, 40)
    done, _ = run.done("test", 40)
    assert done.sum() == 39
    assert not done[7]
    assert len(executor.jobs) > 2 if by == "slurm" else executor.jobs
