"""Shared by tests of commands: a small image, and labels of it with all that can speak of them."""

from __future__ import annotations

from pathlib import Path

import pytest

import made_stores
from chunkwise.cli import main
from verifying import fill, segment


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return fill(made_stores.write(tmp_path / "i.ome.zarr", "0.5", "yx", (96, 96)))


@pytest.fixture
def labels(image: Path) -> Path:
    """Labels of nine shards of one chunk each, with all that can speak of them."""
    assert main(segment("l.ome.zarr", "--reference", "l.json", "--record", "r.json", "--crate", "l.zip")) == 0
    return image.parent / "l.ome.zarr"
