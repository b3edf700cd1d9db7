"""What a worker takes, measured, is no more than what its plan says, and not a fraction of it either."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from scipy import ndimage

from chunkwise.operations import families, has_methods, operations_of
from chunkwise.operations.model import Operation
from made_models import make_package
from operations import harness

SHAPE = (48, 384, 512)
ALL = [one for family in families() for one in operations_of(family).values()]
#: Of operations with a chain of their own: what else the command has to say.
WORDS = {
    "segment": "segment image",
    "objects": "objects maps --method threshold --channels foreground=0",
    "predict": "predict plane --model tiny",
    "measure": "measure --labels labels --image image",
    "compare": "compare labels labels",
    "fetch": "fetch image",
}
#: How many times as much as it takes beyond its base a worker may be said to take.
TOO_MUCH = 2.5
#: Before it reads a voxel, a worker takes about this (a Python with NumPy, SciPy and TensorStore).
BASE = 200 * 10**6


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One block each, of tens of millions of bytes."""
    folder = tmp_path_factory.mktemp("inputs")
    rng = np.random.default_rng(0)
    spots = ndimage.gaussian_filter(rng.random(SHAPE, np.float32), 4)
    bright = spots > np.quantile(spots, 0.8)
    image = (bright * 1000 + rng.integers(0, 200, SHAPE)).astype("u2")
    made: dict[str, Any] = {
        "image": image,
        "maps": bright.astype("f4"),
        "labels": ndimage.label(bright)[0].astype("u4"),
        "plane": image[:4].reshape(-1, SHAPE[2]),
    }
    for name, voxels in made.items():
        axes = "zyx"[3 - voxels.ndim :]
        harness.write_image(folder / name, voxels[(slice(0, 1),) * voxels.ndim], axes, labels=name == "labels")
        chunk = (16, 128, 128)[3 - voxels.ndim :]
        zarr.create_array(folder / name / "0", data=voxels, chunks=chunk, overwrite=True, dimension_names=list(axes))
    make_package(folder / "tiny")
    return folder


def call(operation: Operation) -> list[str]:
    """The command, for one worker and one block."""
    if operation.kernel is None:
        return [*WORDS[operation.family].split(), "--workers", "1"]
    near = harness.cases(operation)[0]
    values = [word for name, value in near.items() for word in (f"--{name}", str(value))]
    block = ",".join(map(str, SHAPE))
    method = ["--method", operation.name] if has_methods(operation.family) else []
    return [operation.family, "image", *method, *values, "--block", block, "--workers", "1"]


@pytest.mark.parametrize("operation", ALL, ids=lambda one: f"{one.family} {one.name}")
def test_a_worker_takes_no_more_than_planned(operation: Operation, inputs: Path, tmp_path: Path) -> None:
    ending = {"measure": ".tsv", "compare": ".json"}.get(operation.family, ".ome.zarr")
    command = [sys.executable, "-m", "chunkwise.cli", *call(operation), "--output", str(tmp_path / f"o{ending}")]
    plan = subprocess.run([*command, "--plan", "json"], cwd=inputs, check=True, capture_output=True)
    planned = json.loads(plan.stdout)["memory_bytes_a_worker"]
    record = tmp_path / "r.json"
    subprocess.run([*command, "--record", record], cwd=inputs, check=True, capture_output=True)
    taken = max(worker["peak_rss_bytes"] for worker in json.loads(record.read_text())["workers"])
    print(f"{operation.name}: {taken / 1e6:.0f} MB taken, {planned / 1e6:.0f} MB planned")
    assert taken <= planned
    assert planned - BASE <= TOO_MUCH * max(taken - BASE, 100 * 10**6)
