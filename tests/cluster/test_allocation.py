"""Workers inside one allocation of a real Slurm of several nodes, where jobs may submit nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.cluster.allocation import open_allocation, tasks_of_job
from chunkwise.cluster.resources import Resources
from chunkwise.errors import ResumableError
from chunkwise.site.model import Cluster
from slurm_server import Slurm, until

SITE = """
[roots.all]
path = "{folder}"
access = "write"
[clusters.inside]
kind = "allocation"
workers_min = 3
memory_per_worker = "700MiB"
driver_lost_after = "20s"
{more}
[cluster]
default = "inside"
"""
QUICK = ["--block", "12,12", "--shard", "64,64", "--threshold", "2500", "--sigma", "0", "--no-pyramid"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("allocation") / "it's $(touch pwned) ü"
    folder.mkdir()
    store = made_stores.write(folder / "i.ome.zarr", "0.5", "yx", (300, 300), chunk=8)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (300, 300))
    return store


@pytest.fixture
def submit(image: Path, slurm: Slurm, tmp_path: Path) -> Callable[..., str]:
    """Submits a job of two nodes and three tasks that gives a command, and then lives on for a while."""

    def begin(*words: str, more: str = "", then: str = "exit $?") -> str:
        site = tmp_path / "site.toml"
        site.write_text(SITE.format(folder=image.parent.parent, more=more))
        script = tmp_path / "job.sh"
        script.write_text(
            f'#!/bin/sh\nexec > "{tmp_path}/log" 2>&1\nexport CHUNKWISE_SITE="{site}"\n'
            f'"{sys.executable}" -m chunkwise.cli "$@"\n{then}\n'
        )
        options = ["--parsable", "--nodes=2", "--ntasks=3", "--mem=3G", "--time=10", "--output=/dev/null", "--chdir=/"]
        return slurm.call("sbatch", *options, str(script), *words)

    return begin


def state(slurm: Slurm, job: str) -> str:
    """State of a job, or of one that has ended."""
    return slurm.call("squeue", "-h", "-t", "all", "-j", job, "-o", "%T")


@pytest.mark.cluster
def test_workers_on_all_nodes_of_the_allocation(
    image: Path, submit: Callable[..., str], slurm: Slurm, tmp_path: Path
) -> None:
    output, record = image.parent / "labels.ome.zarr", image.parent / "record.json"
    job = submit("segment", str(image), *QUICK, "--output", str(output), "--record", str(record))
    until("it has ended", 120, lambda: state(slurm, job) not in ("PENDING", "RUNNING", "COMPLETING"))
    said = (tmp_path / "log").read_text()
    assert state(slurm, job) == "COMPLETED", said
    assert "Traceback" not in said
    whole = image.parent / "whole.ome.zarr"
    assert main(["segment", str(image), *QUICK, "--output", str(whole), "--workers", "1"]) == 0
    assert made_stores.digest(output) == made_stores.digest(whole)
    content = json.loads(record.read_text())
    # Whoever comes late may find little left.
    assert 2 <= len(content["workers"]) <= 3
    assert content["cluster"]["kind"] == "allocation"
    # One step of three tasks, on both nodes.
    steps = slurm.call("sacct", "-n", "-P", "-j", f"{job}.0", "-o", "NTasks,NNodes,State")
    assert steps.startswith("3|2|"), steps
    assert not (Path(f"{output}.run") / "cluster").exists()
    assert not list(image.parent.parent.rglob("pwned"))


@pytest.mark.cluster
def test_workers_end_when_their_driver_is_killed(
    image: Path, submit: Callable[..., str], slurm: Slurm, tmp_path: Path
) -> None:
    """The batch script lives on, so that nothing but the workers themselves ends them."""
    output = image.parent / "lost.ome.zarr"
    journal = Path(f"{output}.run") / "journal"
    words = ["segment", str(image), *QUICK, "--block", "4,4", "--output", str(output)]
    job = submit(*words, then="sleep 300")
    try:
        until("they work", 90, lambda: len(list(journal.glob("*.jsonl"))) == 4)  # three workers and the driver
        until("there is a driver", 5, lambda: drivers(str(output)))
        for process in drivers(str(output)):
            process.kill()
        until("no worker is left", 90, lambda: not workers(job))
        assert state(slurm, job) == "RUNNING"
    finally:
        slurm.call("scancel", job)


def drivers(output: str) -> list[Any]:
    """Processes of chunkwise that write to a store."""
    return [
        process
        for process in processes()
        if output in process.info["cmdline"] and "chunkwise.cli" in process.info["cmdline"]
    ]


def workers(job: str) -> list[Any]:
    """Processes of the step of a job."""
    found = []
    for process in processes():
        words = " ".join(process.info["cmdline"])
        if "chunkwise.cluster.worker" in words or "spawn_main" in words:
            try:
                if process.environ().get("SLURM_JOB_ID") == job:
                    found.append(process)
            except Exception:
                continue
    return found


def processes() -> list[Any]:
    import psutil

    return [process for process in psutil.process_iter(["cmdline"]) if process.info["cmdline"]]


@pytest.mark.cluster
def test_workers_that_cannot_start_are_quoted(
    image: Path, submit: Callable[..., str], slurm: Slurm, tmp_path: Path
) -> None:
    output = image.parent / "broken.ome.zarr"
    words = ["segment", str(image), *QUICK, "--output", str(output)]
    job = submit(*words, more='setup = ["echo the module is missing; exit 1"]')
    until("it has ended", 120, lambda: state(slurm, job) not in ("PENDING", "RUNNING", "COMPLETING"))
    said = (tmp_path / "log").read_text()
    assert state(slurm, job) == "FAILED", said
    last = said.splitlines()[-1]
    assert last.startswith("chunkwise segment: error: The workers that srun started in this job ended (the last line")
    assert "Traceback" not in said


def test_outside_of_an_allocation_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(ResumableError, match="run the same command in a job, such as one submitted with sbatch"):  # noqa: SIM117
        with open_allocation(Cluster("inside"), Resources(2, 2**30), 9, str(tmp_path)):
            pass
    assert not list(tmp_path.iterdir())


def test_as_many_workers_as_the_job_has_tasks() -> None:
    inside = Cluster("inside")
    assert tasks_of_job(inside, {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "6", "SLURM_JOB_NUM_NODES": "2"}) == 6
    assert tasks_of_job(inside, {"SLURM_JOB_ID": "1", "SLURM_JOB_NUM_NODES": "2"}) == 2
    assert tasks_of_job(inside, {"SLURM_JOB_ID": "1"}) == 1
