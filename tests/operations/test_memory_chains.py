"""What a real process held at most, against what ``--plan`` said that it would need: one of each operation's chain."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import made_models

#: Two blocks, each a whole shard, so that arrays weigh more than what is imported.
SHAPE = (256, 256, 512)

CALLS = {
    "segment": "segment {image} --output {out}.ome.zarr",
    "segment --split": "segment {image} --split distance --output {out}.ome.zarr",
    "objects threshold": "objects {maps} --method threshold --channels foreground=0 --output {out}.ome.zarr",
    "filter gaussian": "filter {image} --method gaussian --output {out}.ome.zarr",
    "fetch": "fetch {image} --output {out}.ome.zarr",
    "measure": "measure --labels {labels} --image {image} --output {out}.tsv",
    "measure euler": "measure --labels {labels} --properties euler_number --output {out}.tsv",
    "compare": "compare {labels} {labels} --output {out}.json",
    "predict": "predict {plane} --model {model} --output {out}.ome.zarr",
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Balls on noise, side by side, some of them touching; their labels, a map of them, a plane, and a model."""
    folder = tmp_path_factory.mktemp("inputs")
    z, y, x = np.ogrid[:32, :32, :32]
    ball = (z - 16) ** 2 + (y - 16) ** 2 + (x - 16) ** 2 < 16**2
    tile = np.random.default_rng(1).integers(0, 300, (64, 64, 64), np.uint16)
    tile += np.tile(ball * np.uint16(2000), (2, 2, 2))
    image = np.tile(tile, tuple(n // 64 for n in SHAPE))
    number = np.arange(1, image.size // 32**3 + 1, dtype=np.uint32).reshape([n // 32 for n in SHAPE])
    labels = np.kron(number, np.ones((32, 32, 32), np.uint32)) * (image > 1000)
    plane = np.tile(made_models.noise((512, 512)), (2, 2))
    stores = {"image": image, "labels": labels, "maps": (image > 1000).astype(np.float32), "plane": plane}
    found = {"model": str(made_models.make_package(folder / "model"))}
    for name, voxels in stores.items():
        found[name] = str(made_models.image_store(folder, voxels, "zyx"[3 - voxels.ndim :], f"{name}.ome.zarr"))
    return found


def process(words: list[str]) -> str:
    """A process of its own: this one's peak is that of the tests before."""
    done = subprocess.run([sys.executable, "-m", "chunkwise.cli", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("call", CALLS)
def test_no_worker_takes_more_than_was_projected(call: str, made: dict[str, str], tmp_path: Path) -> None:
    words = [*CALLS[call].format(**made, out=tmp_path / "out").split(), "--workers", "1"]
    needed = json.loads(process([*words, "--plan", "json"]))["memory_bytes_a_worker"]
    process([*words, "--record", str(tmp_path / "record.json")])
    record: dict[str, Any] = json.loads((tmp_path / "record.json").read_text())
    peak = max(worker["peak_rss_bytes"] for worker in record["workers"])
    assert peak <= needed, f"{peak / 1e6:.0f} MB instead of {needed / 1e6:.0f}"
    assert needed <= 4 * peak, f"only {peak / 1e6:.0f} MB of {needed / 1e6:.0f}"
