"""Whole commands as arrays of batch jobs on a real Slurm: the same bytes as in one process, and as scikit-image."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import skimage.filters
import skimage.measure
import zarr

import made_stores
from chunkwise.cli import main
from chunkwise.cluster import array
from chunkwise.site.model import Cluster
from slurm_server import Slurm, until

pytestmark = pytest.mark.cluster

#: A folder name that would do harm in a script or in an option.
NASTY = 'it\'s "$(touch pwned)"; %j\n--wrap=`id` ü'
SITE = """
[roots.all]
path = {folder}
access = "write"
[clusters.arrays]
kind = "array"
workers_min = 3
walltime = "10m"
memory_per_worker = "700MiB"
[cluster]
default = "arrays"
"""
#: Few passes, each of many blocks.
QUICK = ["--block", "16,16", "--shard", "64,64", "--threshold", "2500", "--sigma", "0", "--no-pyramid"]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arrays") / NASTY
    folder.mkdir()
    store = made_stores.write(folder / "i.ome.zarr", "0.5", "yx", (300, 300), chunk=8)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (300, 300))
    return store


@pytest.fixture(scope="module")
def quick(image: Path) -> str:
    """Digest of the quick segmentation, by one process without a cluster."""
    output = image.parent / "quick.ome.zarr"
    assert main(["segment", str(image), *QUICK, "--output", str(output), "--workers", "1"]) == 0
    return made_stores.digest(output)


@pytest.fixture
def start(image: Path, slurm: Slurm, monkeypatch: pytest.MonkeyPatch) -> Callable[..., subprocess.Popen[str]]:
    """Starts a command as a process of its own, on a site whose cluster is one of arrays."""
    site = image.parent.parent / "site.toml"
    folder = str(image.parent.parent).replace("\\", "\\\\").replace('"', '\\"')
    site.write_text(SITE.format(folder=f'"{folder}"'))
    monkeypatch.setenv("SLURM_CONF", slurm.conf)
    environment = slurm.environment | {"CHUNKWISE_SITE": str(site)}

    def begin(*words: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "chunkwise.cli", *words]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return begin


def queue(slurm: Slurm, run: Path) -> list[str]:
    """Ids of the jobs of a run that are in the queue and not at their end: elements as ARRAY_NUMBER."""
    names = ",".join(array.job_names(array.array_folder(Cluster("arrays"), str(run))))
    return slurm.call("squeue", "-h", "-r", "-n", names, "-t", "PENDING,RUNNING", "-o", "%i").split()


def blocks(run: Path, phase: str) -> int:
    """How many blocks of a phase the journal names."""
    return sum(path.read_bytes().count(b'"pass":"%s"' % phase.encode()) for path in run.glob("journal/*.jsonl"))


def ended(process: subprocess.Popen[str]) -> None:
    """Wait for a command that has to end well."""
    said = process.communicate(timeout=240)[1]
    assert process.returncode == 0, said


def test_the_same_labels_and_table_whatever_the_names(
    image: Path, start: Callable[..., subprocess.Popen[str]], slurm: Slurm
) -> None:
    labels, table = image.parent / "labels; $(touch pwned).ome.zarr", image.parent / 'ob"jects\n.tsv'
    words = [str(image), "--block", "32,32", "--shard", "64,64"]
    ended(start("segment", *words, "--output", str(labels)))
    whole = image.parent / "whole.ome.zarr"
    assert main(["segment", *words, "--output", str(whole), "--workers", "1"]) == 0
    assert made_stores.digest(labels) == made_stores.digest(whole)
    voxels: Any = zarr.open_array(image / "0", mode="r")[...]
    smooth = scipy.ndimage.gaussian_filter(voxels, 1.0)
    expected = skimage.measure.label(smooth > skimage.filters.threshold_otsu(smooth), connectivity=2)
    np.testing.assert_array_equal(zarr.open_array(labels / "0", mode="r")[...], expected)

    # The same blocks: standard deviations of other blocks may differ in their last digits.
    words = ["measure", "--labels", str(labels), "--image", str(image), "--block", "64,64"]
    ended(start(*words, "--output", str(table)))
    assert main([*words, "--output", str(image.parent / "whole.tsv"), "--workers", "1"]) == 0
    assert table.read_bytes() == (image.parent / "whole.tsv").read_bytes()
    assert not list(image.parent.parent.rglob("pwned"))
    assert not (Path(f"{labels}.run") / "array").exists()
    assert not queue(slurm, Path(f"{labels}.run"))


def test_a_leader_that_is_killed_is_followed_by_another(
    image: Path, start: Callable[..., subprocess.Popen[str]], slurm: Slurm, quick: str
) -> None:
    output, record = image.parent / "killed.ome.zarr", image.parent / "killed.json"
    run = image.parent / "killed.ome.zarr.run"
    process = start("segment", str(image), *QUICK, "--output", str(output), "--record", str(record))
    until("the array has begun", 60, lambda: blocks(run, "label") > 3 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    # An element, and whoever leads them: nobody is left who knows of the run but the queue.
    elements = [job for job in queue(slurm, run) if job.endswith("_1")]
    if elements:
        slurm.call("scancel", "--signal=KILL", *elements)
    process.kill()
    process.communicate()
    assert not output.exists()
    until("the next one has finished", 120, record.exists)
    assert made_stores.digest(output) == quick
    until("no job is left", 20, lambda: not queue(slurm, run))


def test_a_command_that_is_cancelled_ends_its_jobs_and_goes_on_later(
    image: Path, start: Callable[..., subprocess.Popen[str]], slurm: Slurm, quick: str
) -> None:
    output, run = image.parent / "stopped.ome.zarr", image.parent / "stopped.ome.zarr.run"
    command = ["segment", str(image), *QUICK, "--output", str(output)]
    process = start(*command)
    until("the array has begun", 60, lambda: blocks(run, "label") > 3 or process.poll() is not None)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 143, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].startswith("chunkwise segment: error: interrupted; run the same command again")
    until("no job is left", 20, lambda: not queue(slurm, run))
    time.sleep(1)
    assert not output.exists(), "a successor went on with what was cancelled"
    done = blocks(run, "label")
    assert done > 3
    assert main([*command, "--workers", "1"]) == 0  # without a cluster, too
    assert made_stores.digest(output) == quick


@pytest.mark.slow
def test_a_leader_whose_time_is_over_is_followed_by_another(
    image: Path, start: Callable[..., subprocess.Popen[str]], slurm: Slurm, quick: str
) -> None:
    """The leader is a batch job of one minute, as where Galaxy's jobs run on the same Slurm; the run takes longer."""
    output, run = image.parent / "late.ome.zarr", image.parent / "late.ome.zarr.run"
    site = image.parent.parent / "site.toml"
    slow = site.with_name("slow.toml")
    # Jobs that take long to begin make the run long.
    slow.write_text(site.read_text().replace('walltime = "10m"', 'walltime = "10m"\nsetup = ["sleep 25"]'))
    script = f'#!/bin/sh\nexec "{sys.executable}" -m chunkwise.cli "$@"\n'
    words = ["segment", str(image), *QUICK, "--output", str(output)]
    job = subprocess.run(
        ["sbatch", "--parsable", "--time=1", "--mem=700M", "--output=/dev/null", "--chdir=/", "/dev/stdin", *words],
        input=script,
        env=slurm.environment | {"CHUNKWISE_SITE": str(slow)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    until("it has finished", 300, lambda: output.exists() or not (queue(slurm, run) or slurm.call("squeue", "-h")))
    assert made_stores.digest(output) == quick
    assert slurm.call("sacct", "-n", "-X", "-P", "-j", job, "-o", "State") == "TIMEOUT"
