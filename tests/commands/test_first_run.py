"""The first run costs what the next ones do: nothing is compiled when a user, a node or a container is new."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chunkwise

pytestmark = pytest.mark.alone

COINS = Path(__file__).parents[2] / "test-data" / "coins_2d.ome.zarr"


def seconds(words: list[str], environment: dict[str, str]) -> float:
    """CPU-seconds of a command and of all that it started."""
    before = os.times()
    run = subprocess.run([sys.executable, "-m", "chunkwise.cli", *words], env=environment, capture_output=True)
    after = os.times()
    assert run.returncode == 0, run.stderr
    return after.children_user + after.children_system - before.children_user - before.children_system


def test_first_and_later_runs_of_another_user_cost_the_same(tmp_path: Path) -> None:
    """On a read-only installation, without a home, where no byte-code may be written."""
    place = tmp_path / "site-packages"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", place], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        source = Path(chunkwise.__file__).parent
        shutil.copytree(source, place / "chunkwise", ignore=shutil.ignore_patterns("__pycache__"))
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(place),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/nonexistent",
            "TMPDIR": str(tmp_path),
        }
        command = ["segment", str(COINS), "--split", "distance", "--workers", "1", "--output"]
        seconds(["--help"], environment)  # the interpreter's own files are read once
        first, *later = (seconds([*command, str(tmp_path / f"{n}.ome.zarr")], environment) for n in range(4))
        assert first < 1.3 * sorted(later)[1], (first, later)
    finally:
        subprocess.run(["umount", place], check=True)
