"""A real Slurm of four nodes for the tests (deploy/slurm), and what tests do with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["ROOT", "Slurm", "running_slurm", "start", "stop", "until"]

ROOT = Path(__file__).parents[1]


def until(what: str, seconds: float, true: Callable[[], object]) -> None:
    """Wait until something holds; fail with its name where it does not come."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(0.05)


class Slurm:
    """A running instance."""

    def __init__(self, folder: Path, ports: int = 17800) -> None:
        self.folder = folder
        self.ports = ports
        self.conf = str(folder / "slurm.conf")
        self.environment = os.environ | {"SLURM_CONF": self.conf}

    def call(self, *words: str) -> str:
        """Run a command of Slurm; what it printed."""
        return subprocess.run(
            words, env=self.environment, check=True, capture_output=True, text=True, timeout=60
        ).stdout.strip()

    def jobs(self, states: str = "PENDING,RUNNING,COMPLETING") -> list[str]:
        """Ids of the jobs in the queue, the oldest first."""
        return sorted(self.call("squeue", "-h", "-o", "%i", "-t", states).split(), key=int)

    def node_of(self, job: str) -> str:
        """Name of the node that a job runs on."""
        return self.call("squeue", "-h", "-j", job, "-o", "%N")

    def repair(self) -> None:
        """Bring back nodes that a test drained or killed."""
        start(self.folder, self.ports)


def start(folder: Path, ports: int = 17800) -> None:
    """Start an instance, or bring back what is missing of it."""
    environment = os.environ | {"SLURM_FOLDER": str(folder), "SLURM_PORTS": str(ports)}
    subprocess.run([ROOT / "deploy" / "slurm" / "up.sh"], check=True, env=environment, stdin=subprocess.DEVNULL)


def stop(folder: Path, ports: int = 17800) -> None:
    """Stop an instance."""
    environment = os.environ | {"SLURM_FOLDER": str(folder), "SLURM_PORTS": str(ports)}
    subprocess.run([ROOT / "deploy" / "slurm" / "down.sh"], check=True, env=environment, stdin=subprocess.DEVNULL)


@contextmanager
def running_slurm(folder: Path, ports: int = 17800) -> Iterator[Slurm]:
    """The instance in a folder: one that runs is left running, one that was started here is stopped."""
    if os.geteuid() != 0:
        pytest.skip("a real Slurm has to be started by root")
    environment = os.environ | {"SLURM_CONF": str(folder / "slurm.conf")}
    answers = (
        bool(shutil.which("scontrol"))
        and "is UP" in subprocess.run(["scontrol", "ping"], env=environment, capture_output=True, text=True).stdout
    )
    start(folder, ports)
    try:
        yield Slurm(folder, ports)
    finally:
        if not answers:
            stop(folder, ports)
