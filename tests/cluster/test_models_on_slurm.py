"""A model on nodes of Slurm, and objects of its maps: the bytes of one process, the objects of scikit-image."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
import zarr

import made_stores
from chunkwise.cli import main
from cluster_runs import ClusterRun, write_site
from slurm_server import Slurm
from whole_objects import parameters_of, reference_objects

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).parents[2]
IMAGE = ROOT / "test-data" / "coins_2d.ome.zarr"
#: Twelve tiles of the model, thirty blocks of objects.
TILES, BLOCKS = ["--block", "96,96", "--shard", "96,96"], ["--block", "64,64", "--shard", "64,64"]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Maps and labels by one process without a cluster; the labels are those of scikit-image on the maps."""
    folder = tmp_path_factory.mktemp("alone")
    maps, labels = folder / "maps.ome.zarr", folder / "labels.ome.zarr"
    words = ["--model", "nuclei", *TILES, "--workers", "1"]
    assert main(["predict", str(IMAGE), "--output", str(maps), *words]) == 0
    assert main(["objects", str(maps), "--output", str(labels), *BLOCKS, "--workers", "1"]) == 0
    about = yaml.safe_load((ROOT / "models" / "nuclei" / "rdf.yaml").read_text())["config"]["chunkwise"]["objects"]
    whole: Any = zarr.open_array(maps / "0", mode="r")[...]
    of_map = {name: whole.reshape(-1, *whole.shape[-2:])[index] for name, index in about["channels"].items()}
    expected = reference_objects(of_map, parameters_of(about["method"], 2, **about["parameters"]))
    assert expected.max() >= 8
    found: Any = zarr.open_array(labels / "0", mode="r")[...]
    np.testing.assert_array_equal(found.reshape(expected.shape), expected)
    return maps, labels


@pytest.mark.parametrize("kind", ["slurm", "array"])
def test_the_bytes_are_those_of_one_process(slurm: Slurm, alone: tuple[Path, Path], tmp_path: Path, kind: str) -> None:
    site = write_site(tmp_path, kind=kind, workers_min=2, workers_max=2, memory_per_worker="1GiB")
    maps, labels = tmp_path / "maps.ome.zarr", tmp_path / "labels.ome.zarr"
    words = {maps: ["predict", str(IMAGE), "--model", "nuclei", *TILES], labels: ["objects", str(maps), *BLOCKS]}
    for output in words:
        run = ClusterRun(slurm, site, output, words[output]).start()
        try:
            code, said = run.end()
        finally:
            run.kill()
        assert code == 0, said
    assert made_stores.digest(maps) == made_stores.digest(alone[0])
    assert made_stores.digest(labels) == made_stores.digest(alone[1])
    for output in words:
        journals = os.listdir(f"{output}.run/journal")
        assert sum(name.startswith("node") or os.uname().nodename in name for name in journals) >= 2, journals
