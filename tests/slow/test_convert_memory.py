"""What convert holds in memory, of images of 64 MiB, 512 MiB and 2 GiB: a worker and the driver, the same for all."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytestmark = pytest.mark.slow

SHAPES = [(128, 512, 512), (256, 1024, 1024), (1024, 1024, 1024)]
MIB = 2**20


def write(path: Path, shape: tuple[int, ...], kind: str) -> None:
    """A stack whose planes are all different, and are never in memory together."""
    plane = np.random.default_rng(0).integers(0, 4096, shape[1:]).astype(np.uint16)

    def planes() -> Iterator[np.ndarray[Any, Any]]:
        for z in range(shape[0]):
            yield np.roll(plane, 37 * z, axis=1)

    def tiles() -> Iterator[np.ndarray[Any, Any]]:
        for one in planes():
            for y in range(0, shape[1], 256):
                for x in range(0, shape[2], 256):
                    yield np.ascontiguousarray(one[y : y + 256, x : x + 256])

    same: dict[str, Any] = {"shape": shape, "dtype": plane.dtype, "bigtiff": True, "ome": True}
    same |= {"photometric": "minisblack", "metadata": {"axes": "ZYX"}}
    if kind == "tiled":
        tifffile.imwrite(path, tiles(), tile=(256, 256), compression="zstd", **same)
    else:
        tifffile.imwrite(path, planes(), rowsperstrip=64, **same)


def peak_of(process: subprocess.Popen[bytes]) -> int:
    """The largest size of a process while it runs; the sizes of those that it started do not count."""
    peak = 0
    while process.poll() is None:
        status = Path(f"/proc/{process.pid}/status").read_text()
        peak = next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:")), peak)
        time.sleep(0.02)
    return peak


@pytest.mark.parametrize("kind", ["tiled", "striped"])
def test_memory_does_not_grow_with_the_image(tmp_path: Path, kind: str) -> None:
    workers, drivers = [], []
    for shape in SHAPES:
        source, output, record = tmp_path / "a.ome.tif", tmp_path / "o.ome.zarr", tmp_path / "r.json"
        write(source, shape, kind)
        words = ["convert", source, "--output", output, "--record", record, "--check", "yes"]
        command = [sys.executable, "-m", "chunkwise.cli", *words, "--workers", "2", "--memory", "1GiB"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
            drivers.append(peak_of(process))
        assert process.returncode == 0
        content = json.loads(record.read_text())
        workers.append(max(worker["peak_rss_bytes"] for worker in content["workers"]))
        print(f"{kind} {'x'.join(map(str, shape))}: a worker {workers[-1] // MIB} MiB, driver {drivers[-1] // MIB} MiB")
        for path in (source, record):
            path.unlink()
        subprocess.run(["rm", "-r", str(output)], check=True)
    # What is less than a few shards needs less; from there on nothing is added.
    assert workers[2] < workers[1] + 48 * MIB
    assert drivers[2] < drivers[1] + 48 * MIB
    assert max(workers) < 2**30
