"""Killed in every phase, by kill -9 of the driver and of workers: the same bytes in the end."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import zarr

import made_stores
from chunkwise.cli import main
from killing import start, wait_for

#: Every pass over blocks that segmentation with holes filled goes through.
PHASES = ["rims", "holes", "join-holes", "label", "join", "write", "level-1"]


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    """A command of many small blocks."""
    store = made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (300, 300), chunk=8)
    array: Any = zarr.open_array(store / "0", mode="r+")
    array[...] = np.random.default_rng(0).integers(0, 5000, (300, 300))
    return ["segment", str(store), "--block", "16,16", "--shard", "32,32", "--fill-holes"]


def test_the_driver_is_killed_in_every_phase(words: list[str], tmp_path: Path) -> None:
    assert main([*words, "--output", str(tmp_path / "whole.ome.zarr"), "--workers", "1"]) == 0
    output, run = tmp_path / "killed.ome.zarr", tmp_path / "killed.ome.zarr.run"
    command = [*words, "--output", str(output), "--workers", "1"]
    killed = []
    for phase in PHASES:
        process = start(command)
        if wait_for(process, run, phase, 8):
            process.kill()
            killed.append(phase)
        process.communicate()
        if output.exists():
            break
    assert killed == PHASES, "the run was over before it could be killed"
    assert not output.exists()
    assert main(command) == 0
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "whole.ome.zarr")


def test_a_worker_is_killed_in_every_phase(words: list[str], tmp_path: Path) -> None:
    assert main([*words, "--output", str(tmp_path / "whole.ome.zarr"), "--workers", "1"]) == 0
    output, run = tmp_path / "hurt.ome.zarr", tmp_path / "hurt.ome.zarr.run"
    process = start([*words, "--output", str(output), "--workers", "2"])
    killed = []
    for phase in PHASES:
        if not wait_for(process, run, phase, 8):
            break
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]
        if workers:
            with contextlib.suppress(psutil.NoSuchProcess):
                max(workers, key=lambda child: child.cpu_times().user).kill()
                killed.append(phase)
    try:
        said = process.communicate(timeout=300)[1].decode()
    finally:
        process.kill()
    assert process.returncode == 0, said
    assert len(killed) >= len(PHASES) - 2, killed
    assert made_stores.digest(output) == made_stores.digest(tmp_path / "whole.ome.zarr")


def test_workers_end_when_the_driver_is_killed(words: list[str], tmp_path: Path) -> None:
    output, run = tmp_path / "lost.ome.zarr", tmp_path / "lost.ome.zarr.run"
    process = start([*words, "--output", str(output), "--workers", "2"])
    assert wait_for(process, run, "label", 8)
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 2
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive, "workers outlive their driver"
    # And the run goes on with another number of workers.
    assert main([*words, "--output", str(output), "--workers", "1"]) == 0
