"""Two gibibytes of synthetic nuclei: memory a worker, progress in the log, few and compressed files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GIB = 2**30

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1024 x 1024 x 1024 voxels of uint16, made by the benchmarks' script."""
    path = tmp_path_factory.mktemp("large") / "nuclei.ome.zarr"
    subprocess.run([sys.executable, "-W", "ignore", ROOT / "benchmarks" / "synthetic.py", path], check=True)
    return path


def run(folder: Path, *words: str) -> tuple[dict[str, object], str]:
    """Run a command with two workers of one gibibyte; its record, and what it said on the way."""
    record = folder / f"{words[0]}.json"
    command = [sys.executable, "-m", "chunkwise.cli", *words, "--workers", "2", "--memory", "1GiB", "--record", record]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    content = json.loads(record.read_text())
    for worker in content["workers"]:
        print(f"{words[0]:8} {worker['worker']}: {worker['peak_rss_bytes'] / 2**20:.0f} MiB, {worker['cpu_seconds']} s")
    return content, done.stderr


def test_two_gibibytes_within_one_a_worker(volume: Path) -> None:
    folder = volume.parent
    record, said = run(folder, "segment", volume.name, "--output", "labels.ome.zarr")
    assert len(record["workers"]) == 2
    assert all(worker["peak_rss_bytes"] < GIB for worker in record["workers"])
    assert "blocks/s" in said
    assert "left" in said
    assert record["results"]["objects"] == [40851]
    files = [file for file in (folder / "labels.ome.zarr").rglob("*") if file.is_file()]
    stored = sum(file.stat().st_size for file in files)
    print(f"{len(files)} files, {stored / 2**20:.0f} MiB for {4 * 1024**3 / 2**20:.0f} MiB of labels")
    assert len(files) < 100
    assert stored < 4 * 1024**3 / 20

    record, said = run(
        folder, "measure", "--labels", "labels.ome.zarr", "--image", volume.name, "--output", "objects.tsv"
    )
    assert all(worker["peak_rss_bytes"] < GIB for worker in record["workers"])
    assert "blocks/s" in said
    with (folder / "objects.tsv").open() as table:
        assert sum(1 for _ in table) == 40851 + 1
