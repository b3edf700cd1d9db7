"""The driver is lost: cancelled with its batch job, killed without a word, or stopped by a person."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

import made_stores
from closed_runs import check_table, close
from cluster_runs import ClusterRun, Undisturbed
from slurm_server import Slurm, until

pytestmark = pytest.mark.cluster

MakeRun = Callable[..., ClusterRun]

INTERRUPTED = "chunkwise segment: error: interrupted; run the same command again to resume where it stopped."


def test_the_driver_is_cancelled_and_the_same_command_goes_on(
    make_run: MakeRun, undisturbed: Undisturbed, slurm: Slurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    job = run.submit()
    run.wait_for("label")
    run.at_work()
    slurm.call("scancel", job)
    until("the driver's end", 60, lambda: job not in slurm.jobs())
    assert run.said.read_text().splitlines()[-1] == INTERRUPTED
    until("the end of its workers", 30, lambda: not run.workers("PENDING,RUNNING"))
    assert not run.output.exists()
    assert not list(run.folder.glob("cluster/*.pem")), "keys were left behind"
    monkeypatch.setenv("SLURM_CONF", slurm.conf)
    record, rows = close(run.folder, tmp_path / "cancelled.zip", strictly=True)
    check_table(rows, run.output, workers=3)
    assert record.status == "failed"
    assert record.error is not None
    assert "interrupted (SIGTERM)" in record.error
    told = record.cluster or {}
    assert (told["driver"]["id"], told["driver"]["state"]) == (job, "CANCELLED")
    assert told["total"]["submitted"] >= 3
    again = run.submit()
    until("the end of the second run", 240, lambda: again not in slurm.jobs())
    said = run.said.read_text()
    assert run.output.exists(), said
    assert "blocks were already done" in said
    assert made_stores.digest(run.output) == undisturbed.digest
    assert [attempt["id"] for attempt in run.content()["attempts"]] == [record.id]
    cluster = run.cluster()
    assert cluster["driver"]["id"] == again
    assert cluster["driver"]["state"] == "RUNNING"
    assert cluster["total"]["max_rss_bytes"] > 2**26


def test_the_driver_is_killed_and_its_workers_end_in_the_stated_time(
    make_run: MakeRun, undisturbed: Undisturbed, slurm: Slurm
) -> None:
    run = make_run(driver_lost_after="20s").start()
    run.wait_for("label")
    run.at_work()
    assert run.process is not None
    run.process.kill()
    run.end()
    assert run.workers(), "there was nobody to be left alone"
    # As docs/clusters.md says: those at work at once, those that were just starting after driver_lost_after.
    until("the end of the workers", 20 + 30, lambda: not run.workers("PENDING,RUNNING"))
    code, said = run.start().end()
    assert code == 0, said
    assert "blocks were already done" in said
    assert made_stores.digest(run.output) == undisturbed.digest


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_driver_that_is_stopped_cancels_its_jobs(make_run: MakeRun, number: signal.Signals, expected: int) -> None:
    run = make_run().start()
    until("jobs", 60, lambda: run.workers("PENDING,RUNNING"))
    assert run.process is not None
    run.process.send_signal(number)
    code, said = run.end(60)
    assert code == expected
    assert said.splitlines()[-1] == INTERRUPTED
    assert "Traceback" not in said
    assert not run.workers("PENDING,RUNNING")


@pytest.mark.slow
def test_the_driver_reaches_its_own_time_limit(make_run: MakeRun, undisturbed: Undisturbed, slurm: Slurm) -> None:
    """Slurm says SIGTERM before it kills: the run ends as if it were cancelled, and can go on."""
    # Workers that wait in the queue until the driver's minute is over.
    run = make_run(sbatch=["--begin=now+600"])
    job = run.submit("--time=1")
    until("the driver's end", 150, lambda: job not in slurm.jobs())
    assert run.said.read_text().splitlines()[-1] == INTERRUPTED
    assert not run.workers("PENDING,RUNNING")
    assert slurm.call("sacct", "-n", "-X", "-P", "-j", job, "-o", "State") == "TIMEOUT"
    code, said = make_run().start().end()
    assert code == 0, said
    assert made_stores.digest(run.output) == undisturbed.digest
