"""What a worker takes, measured, is no more than what its plan says, and not a small part of it either.

The process that does the work is compared with itself on a tiny image, and the plan with that of the tiny image, so
that libraries do not hide voxels. One run has workers of its own, which holds the base. Operations with chains of their
own are held in ``test_memory_chains.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import chdir, redirect_stdout
from functools import cache
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import zarr
from scipy import ndimage

from chunkwise.cli import main
from chunkwise.operations import families, has_methods, operations_of
from chunkwise.operations.model import Operation
from operations import harness

SHAPE = (48, 384, 512)
FEW = 12
KERNELS = [one for family in families() for one in operations_of(family).values() if one.kernel]
ALL = [one for one in KERNELS if "table" not in one.takes]
#: How many times as much as its voxels take a worker may be said to take, and bytes that are always granted.
TOO_MUCH, GRANTED = 2.5, 125 * 10**6
#: How often a call is measured whose plan seems too much: whether two threads hold their arrays at once is chance, and
#: on busy cores one call took from 21 to 75 MB for its voxels, at one time 23 at most in five runs.
TRIES = 3
Tiny = Callable[[str, Path], tuple[int, int]]
#: Bytes by which two runs of one process differ anyhow.
NOISE = 10 * 10**6


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image of one block, of tens of millions of bytes, and a tiny one."""
    return made(tmp_path_factory.mktemp("inputs"), "u2")


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of bytes: what does not shrink with them shows."""
    return made(tmp_path_factory.mktemp("narrow"), "u1")


def made(folder: Path, dtype: str) -> Path:
    rng = np.random.default_rng(0)
    spots = ndimage.gaussian_filter(rng.random(SHAPE, np.float32), 4)
    voxels = ((spots > np.quantile(spots, 0.8)) * (1000 if dtype == "u2" else 50) + rng.integers(0, 200, SHAPE)).astype(
        dtype
    )
    for place in (folder / "image", folder / "tiny" / "image"):
        harness.write_image(place, voxels[(slice(0, 16),) * voxels.ndim], "zyx")
    path = folder / "image" / "0"
    zarr.create_array(path, data=voxels, chunks=(16, 128, 128), overwrite=True, dimension_names=list("zyx"))
    channels = voxels.reshape(3, 16, *SHAPE[1:])  # as many voxels, for what mixes channels
    for place, edge in ((folder / "channels", 512), (folder / "tiny" / "channels", 16)):
        harness.write_image(place, np.ascontiguousarray(channels[..., :edge, :edge]), "czyx")
    return folder


def call(operation: Operation) -> list[str]:
    """The command, for one worker and one block."""
    near = harness.cases(operation)[0]
    given = {name.replace("_", "-"): value for name, value in near.items() if value is not None}
    values = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    # What holds many copies shows it in a few planes, and takes long.
    planes = FEW if operation.working_bytes(near, 2) > 60 else SHAPE[0]
    part = [] if planes == SHAPE[0] else ["--region", f"0:{planes},0:{SHAPE[1]},0:{SHAPE[2]}"]
    block = ",".join(map(str, (planes, *SHAPE[1:])))  # of a projection, cut to one plane
    method = ["--method", operation.name] if has_methods(operation.family) else []
    image = "image" if operation.mixes is None else "channels"
    return [operation.family, image, *method, *values, *part, "--block", block, "--workers", "1", "--memory", "4GiB"]


def measured(command: list[str], folder: Path, out: Path) -> tuple[int, int]:
    """Bytes that a worker takes, and what the plan says."""
    out.mkdir(exist_ok=True)
    record = out / "r.json"
    whole, plan = [*command, "--output", str(out / "o.ome.zarr")], StringIO()
    with chdir(folder), redirect_stdout(plan):
        assert main([*whole, "--plan", "json"]) == 0
    alone = [sys.executable, "-m", "chunkwise.cli", *whole, "--record", record]
    subprocess.run(alone, cwd=folder, check=True, capture_output=True)
    workers = json.loads(record.read_text())["workers"]
    return max(worker["peak_rss_bytes"] for worker in workers), json.loads(plan.getvalue())["memory_bytes_a_worker"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """What a family takes before it reads a voxel."""

    @cache
    def find(family: str, inputs: Path) -> tuple[int, int]:
        # The first, but for one that imports less than all others.
        words = call(next(one for one in operations_of(family).values() if one.mixes != 0))
        return measured(words, inputs / "tiny", tmp_path_factory.mktemp(family))

    return find


@pytest.mark.parametrize("operation", ALL, ids=lambda one: f"{one.family} {one.name}")
def test_voxels_take_what_is_planned(operation: Operation, inputs: Path, tiny: Tiny, tmp_path: Path) -> None:
    check(operation, inputs, tiny, tmp_path)


@pytest.mark.parametrize("operation", [one for one in ALL if one.scratch], ids=lambda one: f"{one.family} {one.name}")
def test_scratch_is_planned_for_bytes(operation: Operation, narrow: Path, tiny: Tiny, tmp_path: Path) -> None:
    check(operation, narrow, tiny, tmp_path)


def check(operation: Operation, inputs: Path, tiny: Tiny, tmp_path: Path) -> None:
    taken_less, planned_less = tiny(operation.family, inputs)
    most = 0
    for again in range(TRIES):
        taken, planned = measured(call(operation), inputs, tmp_path / str(again))
        grown, said = taken - taken_less, planned - planned_less
        print(f"{operation.family} {operation.name}: {grown / 1e6:.0f} MB taken, {said / 1e6:.0f} MB planned")
        assert grown <= said + NOISE
        most = max(most, grown)
        if said <= TOO_MUCH * most + GRANTED:
            return
    pytest.fail(f"of {said / 1e6:.0f} MB planned, {most / 1e6:.0f} MB were taken at most, in {TRIES} runs")


def test_a_worker_of_its_own_takes_no_more_than_planned(inputs: Path, tmp_path: Path) -> None:
    block = ["--block", "48,192,512", "--shard", "48,192,512", "--workers", "2"]
    taken, planned = measured(["filter", "image", "--method", "mean", *block], inputs, tmp_path)
    print(f"a worker: {taken / 1e6:.0f} MB taken, {planned / 1e6:.0f} MB planned")
    assert planned / TOO_MUCH <= taken <= planned
