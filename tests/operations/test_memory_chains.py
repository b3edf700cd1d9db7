"""What a real process held at most, against what ``--plan`` said that it would need: one of each operation's chain."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

import made_models
from chunkwise.cli import main

#: Two blocks, each a whole shard, so that arrays weigh more than what is imported.
SHAPE = (256, 256, 512)

CALLS = {
    "segment": "segment {image} --output {out}.ome.zarr",
    "segment --split": "segment {image} --split distance --output {out}.ome.zarr",
    "label components": "label {mask} --method components --output {out}.ome.zarr",
    "morphology fill-holes": "morphology {mask} --method fill-holes --output {out}.ome.zarr",
    "threshold hysteresis": "threshold {image} --method hysteresis --low 500 --high 900 --output {out}.ome.zarr",
    "objects threshold": "objects {maps} --method threshold --channels foreground=0 --output {out}.ome.zarr",
    "filter gaussian": "filter {image} --method gaussian --output {out}.ome.zarr",
    "fetch": "fetch {image} --output {out}.ome.zarr",
    "convert": "convert {tiff} --output {out}.ome.zarr",
    "convert colours": "convert {colours} --output {out}.ome.zarr",
    "convert strips": "convert {strips} --output {out}.ome.zarr",
    "convert to ome-tiff": "convert {image} --output {out}.ome.tiff",
    "convert to tiff": "convert {image} --output {out}.tiff",
    "convert to png": "convert {wide} --output {out}.png",
    "math": "math {image} --b {labels} --expression (a-b)/2 --output {out}.ome.zarr",
    "overlay": "overlay {wide} --labels {wide} --output {out}.ome.zarr --style filled --opacity 0.5",
    "overlay png": "overlay {wide} --labels {wide} --output {out}.png --numbers --region 0:2048,0:4096",
    "points": "points {image} --points {points} --output {out}.ome.zarr",
    "spots": "spots {wide} --output {out}.tsv --max-sigma 1.5 --num-sigma 2 --threshold 900",
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
    wide = np.tile(tile[0], (32, 128))
    plane = np.tile(made_models.noise((512, 512)), (2, 2))
    stores = {"image": image, "labels": labels, "maps": (image > 1000).astype(np.float32), "plane": plane, "wide": wide}
    stores["mask"] = image > 1000
    found = {"model": str(made_models.make_package(folder / "model"))}
    for name, voxels in stores.items():
        found[name] = str(made_models.image_store(folder, voxels, "zyx"[3 - voxels.ndim :], f"{name}.ome.zarr"))
    found["points"] = str(folder / "points.csv")
    rows = np.random.default_rng(2).integers(0, SHAPE, (100_000, 3)).tolist()
    lines = [f"{x},{y},{z},{n % 50 == 0}" for n, (z, y, x) in enumerate(rows)]
    Path(found["points"]).write_text("\n".join(["x,y,z,radius", *lines]).replace("True", "9").replace("False", "0"))
    found["tiff"] = str(folder / "image.tif")
    tifffile.imwrite(found["tiff"], image, tile=(256, 256), compression="zlib", metadata={"axes": "ZYX"})
    # Samples that become three channels, and strips that lie across shards: both are read at once.
    found["colours"], found["strips"] = str(folder / "colours.tif"), str(folder / "strips.tif")
    colours = np.tile(tile[:, :, :48].view(np.uint8).reshape(512, 256, 3), (9, 18, 1))
    tifffile.imwrite(found["colours"], colours, photometric="rgb", tile=(256, 256), compression="zlib")
    strips = np.tile(tile[:32], (1, 16, 16))
    how = {"photometric": "minisblack", "rowsperstrip": 64, "metadata": {"axes": "ZYX"}}
    tifffile.imwrite(found["strips"], strips, compression="zlib", compressionargs={"level": 1}, **how)
    return found


#: A process of its own, which says what it held at most: this one's peak is that of the tests before.
PROGRAM = """
import re, sys
from pathlib import Path
from chunkwise.cli import main
code = main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
sys.exit(code)
"""


def process(words: list[str]) -> int:
    """How many bytes the process of a command held at most."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) * 1024


@pytest.mark.parametrize("call", CALLS)
def test_no_worker_takes_more_than_was_projected(call: str, made: dict[str, str], tmp_path: Path) -> None:
    words = [*CALLS[call].format(**made, out=tmp_path / "out").split(), "--workers", "1"]
    with redirect_stdout(StringIO()) as plan:
        assert main([*words, "--plan", "json"]) == 0
    needed = json.loads(plan.getvalue())["memory_bytes_a_worker"]
    whole = process([*words, "--record", str(tmp_path / "record.json")])
    record: dict[str, Any] = json.loads((tmp_path / "record.json").read_text())
    # One file is written by the process itself.
    peak = max([worker["peak_rss_bytes"] for worker in record["workers"]] or [whole])
    print(f"{call}: {peak / 2**20:.0f} of {needed / 2**20:.0f} MiB")
    assert peak <= needed, f"{peak / 1e6:.0f} MB instead of {needed / 1e6:.0f}"
    assert needed <= 4 * peak, f"only {peak / 1e6:.0f} MB of {needed / 1e6:.0f}"
