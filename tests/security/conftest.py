"""Shared by the tests of what commands write."""

from __future__ import annotations

from pathlib import Path

import pytest

from outputs_world import make_inputs, make_world


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What commands read, made without a site file."""
    folder = tmp_path_factory.mktemp("made")
    make_inputs(folder)
    return folder


@pytest.fixture
def world(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Roots to read and to write, the folders of a service's jobs, and a place that is none of these, to stand in."""
    make_world(made, tmp_path)
    monkeypatch.setenv("CHUNKWISE_SITE", str(tmp_path / "site.toml"))
    monkeypatch.chdir(tmp_path / "outside")
    return tmp_path
