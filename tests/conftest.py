"""Shared by all tests; its being here puts this folder, with made_stores, on the import path."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from chunkwise.storage import arrays, remote
from s3_server import S3, running_s3
from slurm_server import Slurm, running_slurm


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real Slurm of four nodes. One that ran before the tests is left running."""
    with running_slurm() as instance:
        yield instance


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """A real S3 server. One that ran before the tests is left running."""
    with running_s3() as instance:
        yield instance


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Wait only a little between two tries of a remote server, and remember nothing of servers of other tests."""
    monkeypatch.setattr(remote, "DELAYS", ("10ms", "20ms"))
    cached = (remote.context, remote._check_keys, arrays._open_array)
    for function in cached:
        function.cache_clear()
    yield
    for function in cached:
        function.cache_clear()
