"""What the batch system says of jobs: steps belong to their job, and what is not known is left out."""

from __future__ import annotations

import pytest

from chunkwise.cluster.accounting import JobFigures, account, read_figures
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
    assert 150_000_000 < hungry_job["max_rss_bytes"] < 400_000_000
    cancelled = found[never].to_dict()
    assert cancelled["state"] == "CANCELLED"
    assert not {"nodes", "cpu_seconds", "max_rss_bytes"} & set(cancelled)
