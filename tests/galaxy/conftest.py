"""The users of the real Galaxy, and its cluster."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest

from galaxy_server import ROOT, User
from slurm_server import Slurm, running_slurm

__all__ = ["User"]


@pytest.fixture(scope="session")
def analyst(galaxy_url: str) -> User:
    """A user whose jobs run without a site file."""
    return User(galaxy_url, "analyst")


@pytest.fixture(scope="session")
def site_user(galaxy_url: str) -> User:
    """A user whose jobs run with a site file: roots images (read) and results (write), and a workspace."""
    return User(galaxy_url, "site")


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """The Slurm that Galaxy sends jobs to. One that ran before the tests is left running."""
    with running_slurm(ROOT / ".cluster" / "slurm") as instance:
        yield instance


@pytest.fixture(scope="session")
def cluster(galaxy_url: str) -> Iterator[str]:
    """Slurm, both Pulsars and the Galaxy with ways to them; its address. What ran before the tests is left running."""
    parts = {
        "pulsar": '. deploy/pulsar/common.sh; alive pulsar-rest "$VENV/"',
        "slurm": ". deploy/slurm/common.sh; alive slurmctld",
    }
    before = {part for part, alive in parts.items() if subprocess.run(["bash", "-c", alive], cwd=ROOT).returncode == 0}
    if os.geteuid() != 0:
        pytest.skip("Slurm and RabbitMQ have to be started by root")
    subprocess.run([ROOT / "deploy" / "cluster" / "up.sh"], check=True)
    yield galaxy_url
    for part in parts:
        if part not in before:
            subprocess.run([ROOT / "deploy" / part / "down.sh"], check=True)


@pytest.fixture(scope="session")
def admin(cluster: str) -> User:
    """Galaxy's administrator, who is told more about jobs."""
    return User(cluster, "admin")
