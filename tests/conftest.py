"""Shared by all tests; its being here puts this folder, with made_stores, on the import path."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from slurm_server import Slurm, running_slurm


@pytest.fixture(scope="session")
def slurm() -> Iterator[Slurm]:
    """A real Slurm of four nodes. One that ran before the tests is left running."""
    with running_slurm() as instance:
        yield instance
