"""Runs on a real Slurm that are disturbed; each ends with the bytes of an undisturbed one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cluster_runs import ClusterRun, Undisturbed, write_site
from slurm_server import Slurm


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    """An image and the digest of its labels."""
    return Undisturbed(tmp_path_factory.mktemp("undisturbed"))


@pytest.fixture
def make_run(slurm: Slurm, undisturbed: Undisturbed, tmp_path: Path) -> Iterator[Callable[..., ClusterRun]]:
    """Make a run; keywords are keys of the profile."""
    made: list[ClusterRun] = []

    def make(on: Slurm | None = None, words: list[str] | None = None, **profile: object) -> ClusterRun:
        site = write_site(tmp_path, **profile)
        made.append(ClusterRun(on or slurm, site, tmp_path / "labels.ome.zarr", words or undisturbed.words))
        return made[-1]

    yield make
    for run in made:
        run.kill()
