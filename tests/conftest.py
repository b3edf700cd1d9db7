"""Shared by all tests; its being here puts this folder, with made_stores, on the import path."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
