"""A URI of a file source becomes a place on disk, and never one outside of the source's folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "tools" / "chunkwise" / "gxfiles_path.py"


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A storage with one image, a secret beside it, and a link to the secret; as Galaxy writes it down."""
    (tmp_path / "storage" / "screen" / "a b.zarr").mkdir(parents=True)
    (tmp_path / "storage-secret").mkdir()
    (tmp_path / "storage" / "link").symlink_to(tmp_path / "storage-secret")
    content = [
        {"type": "posix", "id": "images", "root": str(tmp_path / "storage")},
        {"type": "webdav", "id": "cloud", "root": "/"},
    ]
    file = tmp_path / "sources.json"
    file.write_text(json.dumps({"file_sources": content, "config": {}}))
    return file


def call(sources: Path, uri: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(SCRIPT), str(sources), uri], capture_output=True, text=True)


@pytest.mark.parametrize(
    "path",
    [
        "screen/a b.zarr",
        "screen/a%20b.zarr",
        "screen/../screen/./a b.zarr",
        "/screen/a b.zarr",
        # What the file browser can choose of a store: the file that describes it.
        "screen/a b.zarr/zarr.json",
        "screen/a%20b.zarr/.zattrs",
        "screen/a b.zarr/.zgroup",
    ],
)
def test_path_below_the_root(sources: Path, path: str) -> None:
    done = call(sources, f"gxfiles://images/{path}")
    assert done.returncode == 0
    assert done.stdout == f"file://{sources.parent}/storage/screen/a%20b.zarr\n"


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("gxfiles://images/../storage-secret", "leads out"),
        ("gxfiles://images/%2e%2e/storage-secret", "leads out"),
        ("gxfiles://images/link", "leads out"),
        ("gxfiles://images/link/inside", "leads out"),
        ("gxfiles://images//etc/../../..", "leads out"),
        ("gxfiles://images/", "leads out"),
        ("gxfiles://images/zarr.json", "leads out"),
        ("gxfiles://images/link/zarr.json", "leads out"),
        ("gxfiles://other/x", "no file source"),
        ("gxfiles://cloud/x", "own storage"),
    ],
)
def test_everything_else_is_one_sentence(sources: Path, uri: str, why: str) -> None:
    done = call(sources, uri)
    assert done.returncode != 0
    assert done.stdout == ""
    assert why in done.stderr
    assert len(done.stderr.splitlines()) == 1
