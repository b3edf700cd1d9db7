"""Shared by all tests; its being here puts this folder, with made_stores, on the import path."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chunkwise.storage import arrays, remote
from galaxy_server import running_galaxy
from groups import FIRST, Groups, group_of
from s3_server import S3, running_s3
from slurm_server import ROOT, Slurm, running_slurm

#: Marks of tests on real servers and pages, which wait for other programs of the machine, and may do so for too long.
OF_SERVERS = ("galaxy", "cluster", "s3", "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest groups.

    What fails on a server is tried once more, and the summary names it: of hundreds that wait for Slurm, Galaxy and
    Chromium on two cores, one waits too long now and then. All else has to hold at once.
    """
    order = dict(zip(FIRST, range(len(FIRST)), strict=True))
    items.sort(key=lambda item: order.get(group_of(item.nodeid.split("::")[0]), len(FIRST)))
    for item in items:
        if any(item.get_closest_marker(name) for name in OF_SERVERS):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    return Groups(config, log)


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real Slurm of four nodes, which is not that of Galaxy: another process has the tests of that one."""
    with running_slurm(ROOT / ".cluster" / "slurm-of-tests", 17820) as instance:
        yield instance


@pytest.fixture(scope="session")
def galaxy_url() -> Iterator[str]:
    """The address of the real Galaxy. One that ran before the tests is left running."""
    with running_galaxy() as url:
        yield url


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3 server. One that ran before the tests is left running."""
    with running_s3() as instance:
        yield instance


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait only a little between two tries of a remote server, and remember nothing of servers of other tests."""
    monkeypatch.setattr(remote, "DELAYS", ("10ms", "20ms"))
    cached = (remote._context, remote._check_keys, arrays._open_array)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Make a file system of a size such as ``16m``, which is soon full."""
    if os.geteuid() != 0:
        pytest.skip("a file system has to be mounted by root")
    mounted: list[Path] = []

    def make(size: str) -> Path:
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
        mounted.append(folder)
        return folder

    yield make
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
