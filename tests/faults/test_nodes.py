"""Nodes that die or are drained: on a Slurm of their own, so that others are not disturbed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

import made_stores
from cluster_runs import ClusterRun, Undisturbed, processes_of
from slurm_server import Slurm, start, stop, until

pytestmark = pytest.mark.cluster

MakeRun = Callable[..., ClusterRun]


@pytest.fixture(scope="module")
def own_slurm() -> Iterator[Slurm]:
    """A Slurm whose nodes may be hurt."""
    if os.geteuid() != 0:
        pytest.skip("a real Slurm has to be started by root")
    folder = Path(tempfile.mkdtemp(prefix="cw-slurm-", dir="/tmp"))
    try:
        start(folder, 17900)
        yield Slurm(folder, 17900)
    finally:
        stop(folder, 17900)
        shutil.rmtree(folder, ignore_errors=True)


def kill_node(slurm: Slurm, node: str) -> None:
    """End a node's daemon as a crash would: its jobs are not told."""
    os.kill(int((slurm.folder / "run" / f"slurmd-{node}.pid").read_text()), signal.SIGKILL)


def check_death(run: ClusterRun, slurm: Slurm, digest: str, told: bool) -> None:
    try:
        disturb(run, slurm, told)
        code, said = run.end(600)
    finally:
        slurm.repair()
    assert code == 0, said
    assert made_stores.digest(run.output) == digest
    total = run.cluster()["total"]
    assert total["submitted"] >= 4
    assert total["states"]["NODE_FAIL"] == 1
    assert json.loads(run.record.read_text())["blocks"]["retried"] > 0, "no block was done twice"


def disturb(run: ClusterRun, slurm: Slurm, told: bool) -> None:
    """Kill a node's daemon; its worker is cut off, is given up, and goes on while others do its blocks."""
    run.wait_for("label")
    job = run.workers()[0]
    node = slurm.node_of(job)
    orphans = processes_of([job])
    assert orphans
    before = run.lines("label")
    kill_node(slurm, node)
    for process in orphans:
        process.suspend()  # the process that watches over the worker, too: the node is cut off
    if told:  # as Slurm does by itself when it has missed the node for long enough
        slurm.call("scontrol", "update", f"nodename={node}", "state=down", "reason=dead")
    until("Slurm gives the job up", 90, lambda: job not in run.workers())
    run.at_work()
    assert all(process.is_running() for process in orphans), "the old step should be left, it is what is tested"
    until("another job takes its place", 120, lambda: len(run.workers()) == 3)
    until("others are at work", 120, lambda: run.lines("label") > before)
    run.at_work()
    for process in orphans:
        process.resume()
    _, alive = psutil.wait_procs(orphans, timeout=60)
    assert not alive, "a worker that was given up goes on for ever"


def test_a_node_s_daemon_is_killed_and_its_old_step_goes_on(
    make_run: MakeRun, undisturbed: Undisturbed, own_slurm: Slurm
) -> None:
    run = make_run(on=own_slurm, sbatch=["--exclusive"]).start()
    check_death(run, own_slurm, undisturbed.digest, told=True)


@pytest.mark.slow
def test_slurm_finds_out_by_itself(make_run: MakeRun, own_slurm: Slurm, tmp_path: Path) -> None:
    whole = Undisturbed(tmp_path / "whole", size=1000)
    run = make_run(on=own_slurm, words=whole.words, sbatch=["--exclusive"]).start()
    check_death(run, own_slurm, whole.digest, told=False)


def test_a_node_is_drained(make_run: MakeRun, undisturbed: Undisturbed, own_slurm: Slurm) -> None:
    """Its job goes on to its end; what replaces a lost one goes elsewhere."""
    run = make_run(on=own_slurm, sbatch=["--exclusive"]).start()
    run.wait_for("label")
    job = run.workers()[0]
    node = own_slurm.node_of(job)
    own_slurm.call("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    own_slurm.call("scancel", job)
    run.at_work()
    until("another job takes its place", 120, lambda: len(run.workers()) == 3 and job not in run.workers())
    assert node not in {own_slurm.node_of(other) for other in run.workers()}
    code, said = run.end()
    own_slurm.call("scontrol", "update", f"nodename={node}", "state=resume")
    assert code == 0, said
    assert made_stores.digest(run.output) == undisturbed.digest
