"""What the batch system says of jobs: steps belong to their job, and what is not known is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from chunkwise.cluster.accounting import JobFigures, account, account_left, driver_of, read_figures
from chunkwise.cluster.inline import InlineExecutor
from chunkwise.site.model import Cluster
from slurm_server import Slurm


def test_without_a_batch_system_there_are_no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    executor = InlineExecutor()
    assert account(Cluster("local"), executor) == {"kind": "local", "profile": "local"}
    executor.jobs += ["1", "2"]
    assert account(Cluster("c", "slurm"), executor)["total"] == {"submitted": 2}
    assert read_figures(["1"]) == []


def test_what_is_not_known_is_left_out() -> None:
    assert JobFigures("7", state="RUNNING").to_dict() == {"id": "7", "state": "RUNNING"}


#: What sacct of Slurm says of a job with a GPU, of an array element, and of a job that ran out of time.
SAID = """\
7|7|gpu|node1|COMPLETED|90|2026-01-01T10:00:00|2026-01-01T10:00:30|01:20.500||lab|60|cpu=2,gres/gpu=1,mem=4G|||
7.batch|7.batch|||COMPLETED|90|2026-01-01T10:00:30|2026-01-01T10:00:30|01:20.500|2048K|lab||cpu=2|cpu=00:01:20,\
fs/disk=1000000,mem=2048K|fs/disk=500|fs/disk=1000000,gres/gpumem=3G,gres/gpuutil=87
7.0|7.0|||COMPLETED|9|2026-01-01T10:00:31|2026-01-01T10:00:31|00:01.000|1024K|lab||cpu=2|fs/disk=24|fs/disk=0|
8|6_1|main|node2|TIMEOUT|60|2026-01-01T10:00:00|Unknown|00:00:00|||UNLIMITED||||
"""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that answers as sacct does, to whatever it is asked."""
    (tmp_path / "answer").write_text(SAID)
    (tmp_path / "sacct").write_text(f"#!/bin/sh\nexec /bin/cat '{tmp_path}/answer'\n")
    (tmp_path / "sacct").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.usefixtures("told")
def test_everything_that_is_accounted_for_is_told() -> None:
    first, second = (job.to_dict() for job in read_figures(["7", "8"]))
    assert first == {
        "id": "7",
        "partition": "gpu",
        "nodes": "node1",
        "state": "COMPLETED",
        "elapsed_seconds": 90.0,
        "queue_seconds": 30.0,
        "cpu_seconds": 80.5,
        "max_rss_bytes": 2048 * 1024,
        "account": "lab",
        "walltime_seconds": 3600.0,
        "gpus": 1,
        "gpu_memory_bytes": 3 * 2**30,
        "gpu_utilization_percent": 87.0,
        "read_bytes": 1_000_024,
        "written_bytes": 500,
        "steps": ["batch", "0"],
    }
    # What was not measured is left out, never 0.
    known = {"id": "6_1", "partition": "main", "nodes": "node2", "state": "TIMEOUT", "elapsed_seconds": 60.0}
    assert second == known


@pytest.mark.usefixtures("told")
def test_of_a_driver_that_was_ended_the_batch_system_knows_how(tmp_path: Path) -> None:
    assert driver_of({}) is None
    assert driver_of({"SLURM_JOB_ID": "8"}) == {"driver": {"id": "8"}}
    assert account_left(str(tmp_path / "run"), None) == (None, "")
    logs = tmp_path / "run" / "cluster"
    logs.mkdir(parents=True)
    (logs / "7.log").touch()
    (tmp_path / "sacct").write_text(f"#!/bin/sh\n/bin/grep \"^$5\" '{tmp_path}/answer'\n")
    cluster, ended = account_left(str(tmp_path / "run"), {"driver": {"id": "8"}})
    assert cluster is not None
    assert [job["id"] for job in cluster["jobs"]] == ["7"]
    assert cluster["total"]["read_bytes"] == 1_000_024
    assert cluster["driver"]["state"] == "TIMEOUT"
    assert ended == "The batch job 6_1 of the run ended in the state TIMEOUT before its work was done."


@pytest.mark.cluster
def test_figures_of_real_jobs(slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_CONF", slurm.conf)
    hungry = "import time; held = bytearray(b'x') * 150_000_000; time.sleep(5)"
    wait = slurm.call("sbatch", "--parsable", "--mem=600M", "-o", "/dev/null", f'--wrap=python3 -c "{hungry}"')
    array = slurm.call("sbatch", "--parsable", "--array=0-1", "--mem=50M", "-o", "/dev/null", "--wrap=true")
    never = slurm.call("sbatch", "--parsable", "--begin=now+3600", "--mem=50M", "-o", "/dev/null", "--wrap=true")
    slurm.call("scancel", never)
    slurm.call("sbatch", "--wait", f"--dependency=afterany:{wait}", "--mem=50M", "-o", "/dev/null", "--wrap=true")
    found = {job.id: job for job in read_figures([wait, array, never])}
    assert set(found) == {wait, f"{array}_0", f"{array}_1", never}
    hungry_job = found[wait].to_dict()
    assert hungry_job["state"] == "COMPLETED"
    assert hungry_job["partition"] == "main"
    assert hungry_job["elapsed_seconds"] >= 5
    assert "batch" in hungry_job["steps"]
    assert 150_000_000 < hungry_job["max_rss_bytes"] < 400_000_000
    cancelled = found[never].to_dict()
    assert cancelled["state"] == "CANCELLED"
    assert not {"nodes", "cpu_seconds", "max_rss_bytes"} & set(cancelled)
