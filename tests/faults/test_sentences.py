"""Where the cluster gives no workers: one sentence that says why, and no job is left in the queue."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cluster_runs import ClusterRun
from slurm_server import Slurm

pytestmark = pytest.mark.cluster

MakeRun = Callable[..., ClusterRun]


def sentence(run: ClusterRun, seconds: float = 180) -> str:
    """The last line of a run that fails."""
    code, said = run.start().end(seconds)
    assert code == 4, said
    assert "Traceback" not in said
    assert not run.workers("PENDING,RUNNING")
    assert not run.output.exists()
    last = said.splitlines()[-1]
    assert last.startswith("chunkwise segment: error: ")
    return last


def test_the_queue_is_too_long(make_run: MakeRun) -> None:
    run = make_run(sbatch=["--begin=now+3600"], queue_patience="6s")
    code, said = run.start().end(90)
    assert code == 4
    # Before it gives up, the run says that it waits, for how long, and what for.
    waiting = [line for line in said.splitlines() if line.startswith("waiting ")]
    assert any("0 of 3 workers, 3 waiting in the queue" in line and "(BeginTime)" in line for line in waiting), said
    assert "No job of the cluster 'test' began within" in said.splitlines()[-1]
    assert not run.workers("PENDING,RUNNING")


def test_a_short_queue_is_waited_for(make_run: MakeRun) -> None:
    code, said = make_run(sbatch=["--begin=now+8"]).start().end()
    assert code == 0, said
    assert "3 waiting in the queue" in said


def test_the_scheduler_s_port_is_blocked(make_run: MakeRun, tmp_path: Path) -> None:
    """Jobs run on nodes whose network does not lead to the driver."""
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec unshare --net -- {sys.executable} "$@"\n')
    python.chmod(0o755)
    said = sentence(make_run(python=str(python), driver_lost_after="4s"))
    assert "none of their workers reached this process at tls://" in said
    assert "whether the nodes may connect to that port" in said


def test_workers_cannot_start(make_run: MakeRun) -> None:
    said = sentence(make_run(setup=["echo no such module: chunkwise >&2", "exit 1"]))
    assert "the last line of one: no such module: chunkwise" in said


def test_the_batch_system_refuses(make_run: MakeRun) -> None:
    said = sentence(make_run(partition="nowhere"))
    assert "did not accept a job" in said
    assert "invalid partition specified: nowhere" in said
    assert "ask your administrator" in said


def test_an_interface_that_is_not_there(make_run: MakeRun) -> None:
    assert "names the network interface 'ib9', which this machine does not have" in sentence(make_run(interface="ib9"))


def test_no_slurm_at_all(make_run: MakeRun, slurm: Slurm, tmp_path: Path) -> None:
    run = make_run()
    run.environment |= {"PATH": str(tmp_path)}
    code, said = run.start().end(90)
    assert code == 4, said
    assert "sbatch cannot be called" in said.splitlines()[-1]
